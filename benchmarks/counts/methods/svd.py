"""Truncated SVD of the size-normalised, transformed counts; its rank given, or chosen by held-out molecules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._low_rank import low_rank, rank_by_held_out

__all__ = ["fit"]


def fit(counts: sp.csr_matrix, *, seed: int, transform: str = "log", rank: int | None = 20) -> Callable[[], np.ndarray]:
    """Decompose; with ``rank=None`` a first pass on an inner split of the molecules chooses the rank."""
    if rank is None:
        rank = rank_by_held_out(counts, transform=transform, seed=seed)
    fitted = low_rank(counts, rank, transform=transform)
    return lambda: fitted.expected(rank)
