"""Library sizes: what every method normalises by, and what its result is brought back to."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["library_size", "to_library"]


def library_size(counts: sp.csr_matrix | np.ndarray) -> np.ndarray:
    """Molecules of each cell, ``(cells, 1)``; a cell that lost all of them to the split counts as one."""
    return np.maximum(np.asarray(counts.sum(axis=1), dtype=np.float64).reshape(-1, 1), 1.0)


def to_library(expression: np.ndarray, library: np.ndarray) -> np.ndarray:
    """Non-negative expression on any scale, brought back to expected counts that sum to the library size."""
    expression = np.maximum(expression, 0.0)
    total = expression.sum(axis=1, keepdims=True)
    return expression * (library / np.where(total > 0.0, total, 1.0))
