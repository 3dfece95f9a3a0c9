"""MAGIC (van Dijk et al., Cell 2018) by its own package, in its own environment, with the exact solver.

As in the Open Problems denoising task the counts are normalised to one molecule a cell before the transform, so that
``log1p`` is next to linear; of the scales tried (1 to 10,000 molecules a cell) none from 10 to 300 did worse than the
tutorials' 10,000, and 1 is within 0.1% of the best.
"""

from __future__ import annotations

from collections.abc import Callable

import magic
import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size

__all__ = ["fit"]

_TRANSFORMS = {"log": (np.log1p, np.expm1), "sqrt": (np.sqrt, np.square)}


def fit(counts: sp.csr_matrix, *, seed: int, transform: str = "log") -> Callable[[], np.ndarray]:
    """Build the diffusion operator; the values are diffused when asked for."""
    forward, backward = _TRANSFORMS[transform]
    library = library_size(counts)
    normalised = forward(counts.multiply(1.0 / library).toarray())
    operator = magic.MAGIC(solver="exact", verbose=0, random_state=seed, n_jobs=-1)
    operator.fit(normalised)
    return lambda: backward(np.maximum(operator.transform(normalised), 0.0)) * library
