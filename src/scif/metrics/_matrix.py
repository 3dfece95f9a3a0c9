"""Count matrices as the metrics want them: canonical CSR, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["as_counts", "check_prediction", "library_sizes", "normalised"]


def as_counts(X: Any, *, name: str = "X") -> sparse.csr_matrix:
    """A copy of ``X`` (cells x genes) as CSR with sorted, distinct indices and float64 whole numbers.

    Raises
    ------
    ValueError
        If ``X`` is not two-dimensional or holds a negative, non-finite or non-integer value.
    """
    counts = sparse.csr_matrix(X, dtype=np.float64, copy=True)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    bad = ~np.isfinite(counts.data) | (counts.data < 0) | (counts.data != np.rint(counts.data))
    if bad.any():
        cell = int(np.searchsorted(counts.indptr, np.flatnonzero(bad)[0], side="right")) - 1
        msg = (
            f"{name} holds {counts.data[bad][0]:g} in row {cell} ({int(bad.sum())} such values); "
            "pass counts of molecules: finite whole numbers from zero on, not normalised and not log-transformed."
        )
        raise ValueError(msg)
    return counts


def check_prediction(prediction: Any, shape: tuple[int, int], *, name: str = "prediction") -> Any:
    """The prediction as an array or CSR matrix, once its shape, sign and finiteness are as expected."""
    prediction = sparse.csr_matrix(prediction) if sparse.issparse(prediction) else np.asarray(prediction)
    if prediction.shape != shape:
        msg = f"{name} has shape {prediction.shape} but the counts have shape {shape}; pass cells x genes in one order."
        raise ValueError(msg)
    values = prediction.data if sparse.issparse(prediction) else prediction
    if values.size and not (values.min() >= 0 and np.isfinite(values.max())):
        msg = f"{name} has values in [{values.min():g}, {values.max():g}]; expected counts are finite and not negative."
        raise ValueError(msg)
    return prediction


def library_sizes(X: Any) -> np.ndarray:
    """Row sums as a float64 vector, for dense and sparse input."""
    return np.asarray(X.sum(axis=1, dtype=np.float64)).ravel()


def normalised(X: Any, genes: np.ndarray | slice = slice(None)) -> np.ndarray:
    """``log1p`` of counts scaled to 10,000 per cell, dense, for some of the genes; zeros for a cell without counts."""
    size = library_sizes(X)
    size[size == 0] = 1.0
    part = X[:, genes]
    dense = np.asarray(part.toarray() if sparse.issparse(part) else part, dtype=np.float64)
    return np.log1p(dense * (1e4 / size[:, None]))
