"""Fold changes between groups of cells, and whether a denoiser shrinks them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import sparse

from scif.metrics._groups import two_groups
from scif.metrics._matrix import check_prediction, library_sizes, normalised

__all__ = ["fold_change_slope", "log_fold_changes"]


def log_fold_changes(
    X: Any,
    groups: Any,
    *,
    group: Any,
    reference: Any = None,
    average: Literal["linear", "log"] = "linear",
    pseudocount: float = 0.1,
) -> np.ndarray:
    """Log2 fold change of each gene between a group of cells and a reference.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes; scaled to 10,000 per cell here.
    groups
        One label per cell.
    group
        Label of the cells in the numerator.
    reference
        Label of the cells in the denominator; default all other cells.
    average
        ``"linear"``: ratio of the means, each plus ``pseudocount``. ``"log"``: difference of the means of ``log1p``
        values, which noise and zeros distort.
    pseudocount
        Added to both means (counts per 10,000), so that genes with very few molecules do not give large values.

    Returns
    -------
    One value per gene.

    Raises
    ------
    ValueError
        If a group has fewer than two cells, or ``average`` or ``pseudocount`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import log_fold_changes
    >>> X = np.array([[40, 60], [40, 60], [20, 80], [20, 80]])
    >>> log_fold_changes(X, ["a", "a", "b", "b"], group="a").round(2).tolist()
    [1.0, -0.42]
    """
    if average not in ("linear", "log"):
        msg = f"average is {average!r}; choose 'linear' or 'log'."
        raise ValueError(msg)
    if not pseudocount > 0:
        msg = f"pseudocount is {pseudocount:g}; it must be above 0, so that no ratio is infinite."
        raise ValueError(msg)
    X = check_prediction(X, np.shape(X), name="X")
    means = []
    for cells in two_groups(groups, X.shape[0], group=group, reference=reference):
        if average == "log":
            means.append(normalised(X[cells]).mean(axis=0) / np.log(2.0))
        else:
            means.append(np.log2(_mean_share(X[cells]) * 1e4 + pseudocount))
    return means[0] - means[1]


def fold_change_slope(estimated: Any, true: Any) -> float:
    """Least-squares slope of estimated against true log fold changes; 1 is ideal, less means shrinkage.

    Parameters
    ----------
    estimated, true
        Log fold changes of the same genes, for example by :func:`log_fold_changes` of denoised and of deep counts.

    Raises
    ------
    ValueError
        If their numbers differ, if they are not finite, or if the true values do not vary.

    Examples
    --------
    >>> from scif.metrics import fold_change_slope
    >>> round(fold_change_slope([0.4, 0.0, -0.8], [0.5, 0.0, -1.0]), 6)
    0.8
    """
    a, b = (np.asarray(x, dtype=np.float64).ravel() for x in (estimated, true))
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        msg = f"estimated has {a.size} and true has {b.size} values; pass equally many finite values, one per gene."
        raise ValueError(msg)
    centred = b - b.mean()
    if not b.size or not centred.any():
        msg = "true does not vary; pass fold changes of genes that differ."
        raise ValueError(msg)
    return float(centred @ a / (centred @ centred))


def _mean_share(X: Any) -> np.ndarray:
    """Mean share of each gene in the cells that have counts."""
    size = library_sizes(X)
    weight = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0) / max(int((size > 0).sum()), 1)
    return np.asarray(weight @ X if sparse.issparse(X) else np.einsum("c,cg->g", weight, X), dtype=np.float64).ravel()
