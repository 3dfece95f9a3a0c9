"""Do rare cells keep their markers?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scif.metrics._matrix import check_prediction

__all__ = ["marker_recall"]


def marker_recall(
    denoised: Any, observed: Any, cells: Sequence[int] | np.ndarray, markers: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Fraction of the observed marker molecules of rare cells that their denoised profiles keep.

    Near one, the rare type is kept. Near zero, it was smoothed into the common types. Values of single shallow cells
    scatter, so use the median over cells.

    Parameters
    ----------
    denoised
        Expected counts at the depth of ``observed``, cells x genes.
    observed
        Observed counts (or true expected counts) of the same shape.
    cells
        Rows of the rare cells, or booleans.
    markers
        Columns of the marker genes, or booleans.

    Returns
    -------
    One fraction per rare cell; NaN for a cell without marker molecules.

    Raises
    ------
    ValueError
        If shapes differ, or if no rare cell has a marker molecule.

    Examples
    --------
    >>> from scif.metrics import marker_recall
    >>> marker_recall([[8.0, 2.0], [5.0, 5.0]], [[10, 0], [5, 5]], [0, 1], [0]).tolist()
    [0.8, 1.0]
    """
    observed = check_prediction(observed, np.shape(observed), name="observed")
    denoised = check_prediction(denoised, observed.shape, name="denoised")
    rows, columns = (np.asarray(index) for index in (cells, markers))
    sums = [np.asarray(X[rows][:, columns].sum(axis=1), dtype=np.float64).ravel() for X in (denoised, observed)]
    if not sums[1].any():
        msg = f"none of the {sums[1].size} cells has a molecule of the {columns.size} markers; check cells and markers."
        raise ValueError(msg)
    return np.where(sums[1] > 0, sums[0] / np.where(sums[1] > 0, sums[1], 1.0), np.nan)
