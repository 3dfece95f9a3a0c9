"""Library sizes, and log-normalised counts."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["log_normalise", "totals"]


def totals(x: sparse.csr_matrix) -> np.ndarray:
    """Molecules of each cell, ``(cells,)``."""
    return np.asarray(x.sum(1)).ravel()


def log_normalise(x: sparse.csr_matrix, depth: float) -> sparse.csr_matrix:
    """``log1p`` of counts brought to the library size ``depth``, sparse and in single precision."""
    scaled = sparse.csr_matrix(sparse.diags(depth / totals(x).clip(1.0)) @ x, dtype=np.float32)
    scaled.data = np.log1p(scaled.data)
    return scaled
