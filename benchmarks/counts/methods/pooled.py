"""The pooled profile: library size times the composition of all cells together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from scif.metrics import pooled_profile

__all__ = ["fit"]


def fit(counts: sp.csr_matrix, *, seed: int) -> Callable[[], np.ndarray]:
    """Nothing to fit beyond one sum."""
    return lambda: pooled_profile(counts)
