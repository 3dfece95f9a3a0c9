"""Distance of a denoised composition from the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import check_prediction, library_sizes

__all__ = ["composition_error"]


def composition_error(denoised: Any, truth: Any) -> np.ndarray:
    """Total variation distance between the denoised and the true composition of each cell.

    The distance is the fraction of molecules that would have to move to another gene. It ignores the library size.

    Parameters
    ----------
    denoised
        Expected (or observed) counts, cells x genes, dense or sparse.
    truth
        True expected counts of the same shape, at any depth.

    Returns
    -------
    One number per cell in [0, 1]; 1 for a cell without counts.

    Examples
    --------
    >>> from scif.metrics import composition_error
    >>> composition_error([[5, 5], [0, 3]], [[1, 1], [1, 2]]).round(3).tolist()
    [0.0, 0.333]
    """
    truth = sparse.csr_matrix(truth) if sparse.issparse(truth) else np.asarray(truth)
    denoised = check_prediction(denoised, truth.shape, name="denoised")
    truth = check_prediction(truth, truth.shape, name="truth")
    error = np.empty(truth.shape[0])
    for start in range(0, truth.shape[0], 1024):
        rows = slice(start, start + 1024)
        error[rows] = 0.5 * np.abs(_composition(denoised[rows]) - _composition(truth[rows])).sum(axis=1)
        error[rows][library_sizes(denoised[rows]) == 0] = 1.0
    return error


def _composition(X: Any) -> np.ndarray:
    size = library_sizes(X)
    dense = X.toarray() if sparse.issparse(X) else X
    return dense / np.where(size > 0, size, 1.0)[:, None]
