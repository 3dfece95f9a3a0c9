"""Correlation of pairs of genes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from scif.metrics._depth_recovery import correlation
from scif.metrics._matrix import check_prediction, normalised

__all__ = ["pair_correlations", "strongest_pairs"]


def pair_correlations(X: Any, pairs: Any, *, method: Literal["pearson", "spearman"] = "pearson") -> np.ndarray:
    """Correlation over cells of each pair of genes, on log-normalised values.

    For true pairs it should equal the correlation in the deep counts. For pairs with one gene that was shuffled over
    the cells before denoising (:func:`permute_genes`), it should be zero.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes; scaled to 10,000 per cell and ``log1p``-transformed here.
    pairs
        Two columns for each pair, ``(pairs, 2)``.
    method
        ``"pearson"`` or ``"spearman"``.

    Returns
    -------
    One correlation per pair; zero if a gene does not vary.

    Raises
    ------
    ValueError
        If ``pairs`` is not a list of pairs of columns, or if the method is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import pair_correlations
    >>> X = np.array([[10, 20, 70], [20, 40, 40], [30, 60, 10], [5, 10, 85]])
    >>> pair_correlations(X, [[0, 1], [0, 2]], method="spearman").round(2).tolist()
    [1.0, -1.0]
    """
    if method not in ("pearson", "spearman"):
        msg = f"method is {method!r}; choose 'pearson' or 'spearman'."
        raise ValueError(msg)
    X = check_prediction(X, np.shape(X), name="X")
    index = np.asarray(pairs)
    if index.ndim != 2 or index.shape[1] != 2 or index.min(initial=0) < 0 or index.max(initial=0) >= X.shape[1]:
        msg = f"pairs has shape {index.shape}; pass (pairs, 2) columns below {X.shape[1]}."
        raise ValueError(msg)
    genes, where = np.unique(index, return_inverse=True)
    values = normalised(X, genes)
    if method == "spearman":
        values = rankdata(values, axis=0)
    first, second = where.reshape(index.shape).T
    return correlation(values[:, first], values[:, second], axis=0)


def strongest_pairs(deep: Any, n_pairs: int = 100, *, min_mean: float = 1.0, positive: bool = True) -> np.ndarray:
    """Find the most correlated pairs of genes in deep counts.

    Parameters
    ----------
    deep
        Deep counts or true expected counts, cells x genes.
    n_pairs
        Number of pairs.
    min_mean
        Minimum mean molecules per cell of a considered gene.
    positive
        Use only positive correlations. If False, pairs are ranked by absolute correlation.

    Returns
    -------
    Two columns for each pair, ``(pairs, 2)``, strongest first; fewer pairs if there are not enough.

    Raises
    ------
    ValueError
        If fewer than two genes are abundant enough.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import strongest_pairs
    >>> strongest_pairs(np.array([[9, 19, 70, 2], [20, 38, 30, 12], [30, 60, 2, 8]]), 1).tolist()
    [[0, 1]]
    """
    deep = check_prediction(deep, np.shape(deep), name="deep")
    genes = np.flatnonzero(np.asarray(deep.mean(axis=0)).ravel() >= min_mean)
    if genes.size < 2:
        msg = f"{genes.size} genes have a mean of min_mean={min_mean:g} molecules; lower min_mean."
        raise ValueError(msg)
    values = normalised(deep, genes)
    values -= values.mean(axis=0)
    norm = np.linalg.norm(values, axis=0)
    values /= np.where(norm > 1e-9, norm, np.inf)
    rows, columns = np.triu_indices(genes.size, 1)
    strength = (values.T @ values)[rows, columns]
    order = np.argsort(-(strength if positive else np.abs(strength)), kind="stable")[:n_pairs]
    return np.stack([genes[rows[order]], genes[columns[order]]], axis=1)
