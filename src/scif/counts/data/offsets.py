"""Counts without what batches add to them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["without_offsets"]


def without_offsets(x: sparse.csr_matrix, batch: np.ndarray, offset: np.ndarray) -> sparse.csr_matrix:
    """Divide the stored entries of counts by the factors of their batches, and keep each cell's sum.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    batch
        Batches of the cells ``(cells,)``.
    offset
        Log factors ``(batches, genes)``.
    """
    before = np.asarray(x.sum(1)).ravel()
    rows = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
    out = sparse.csr_matrix((x.data * np.exp(-offset[batch[rows], x.indices]), x.indices, x.indptr), shape=x.shape)
    after = np.asarray(out.sum(1)).ravel()
    return sparse.csr_matrix(sparse.diags(before / np.where(after > 0, after, 1.0)) @ out, dtype=x.dtype)
