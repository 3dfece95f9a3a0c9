"""Depth recovery: profiles denoised from few molecules against those of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scif.metrics._groups import as_labels
from scif.metrics._matrix import check_prediction, normalised

__all__ = ["DepthRecovery", "depth_recovery"]


@dataclass(frozen=True)
class DepthRecovery:
    """Agreement of denoised with deep profiles; see :func:`depth_recovery`.

    Attributes
    ----------
    cell_correlation
        Correlation over genes, one per cell.
    gene_correlation
        Correlation over cells, one per compared gene.
    within_type_correlation
        Correlation over cells after subtracting the mean of each cell type from both matrices; None without labels.
    relative_error
        Norm of the difference divided by the norm of the deep profiles.
    genes
        Compared columns.
    """

    cell_correlation: np.ndarray
    gene_correlation: np.ndarray
    within_type_correlation: np.ndarray | None
    relative_error: float
    genes: np.ndarray

    def means(self) -> dict[str, float]:
        """Mean correlations, and the relative error, by name."""
        found = {
            "cell_correlation": float(self.cell_correlation.mean()),
            "gene_correlation": float(self.gene_correlation.mean()),
            "relative_error": self.relative_error,
        }
        if self.within_type_correlation is not None:
            found["within_type_correlation"] = float(self.within_type_correlation.mean())
        return found


def depth_recovery(denoised: Any, deep: Any, *, labels: Any = None, min_deep: float = 1.0) -> DepthRecovery:
    """Correlation per cell, per gene and within cell types, and relative error, against deep profiles.

    All values are scaled to 10,000 per cell and ``log1p``-transformed. Genes with too few deep molecules to be a
    reference are then left out. A cell or gene that is constant in one matrix has correlation zero.

    Parameters
    ----------
    denoised
        Observed or denoised counts, cells x genes, at any depth.
    deep
        Much deeper counts of the same cells, or true expected counts. For a fair test they must not contain the
        denoised molecules (:func:`split_counts` with a small ``fraction`` gives both).
    labels
        Cell types, for the correlation within them.
    min_deep
        Minimum mean molecules per cell in ``deep`` of a compared gene.

    Raises
    ------
    ValueError
        If shapes differ, if labels do not fit, or if fewer than two genes are deep enough.

    Examples
    --------
    >>> from scif.datasets import simulate_counts
    >>> from scif.metrics import depth_recovery, split_counts, truncated_svd
    >>> split = split_counts(simulate_counts(200, 150, depth=10_000, seed=0).X, 0.05)
    >>> counts, svd = (depth_recovery(x, split.test).means() for x in (split.train, truncated_svd(split.train, 5)))
    >>> counts["gene_correlation"] < svd["gene_correlation"]
    True
    """
    deep = check_prediction(deep, np.shape(deep), name="deep")
    denoised = check_prediction(denoised, deep.shape, name="denoised")
    genes = np.flatnonzero(np.asarray(deep.mean(axis=0)).ravel() >= min_deep)
    if genes.size < 2:
        msg = f"{genes.size} genes have a mean of min_deep={min_deep:g} molecules in deep; lower min_deep."
        raise ValueError(msg)
    a, b = normalised(denoised, genes), normalised(deep, genes)
    within = None
    if labels is not None:
        types = as_labels(labels, len(a))
        within = correlation(_centred(a, types), _centred(b, types), axis=0)
    error = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    return DepthRecovery(correlation(a, b, axis=1), correlation(a, b, axis=0), within, error, genes)


def correlation(a: np.ndarray, b: np.ndarray, *, axis: int) -> np.ndarray:
    """Pearson correlation along an axis; zero where a side is constant up to rounding in single precision."""
    limit = 1e-6 * np.sqrt(a.shape[axis])
    floors = [limit * np.maximum(np.abs(x.mean(axis=axis)), 1e-6) for x in (a, b)]
    a, b = a - a.mean(axis=axis, keepdims=True), b - b.mean(axis=axis, keepdims=True)
    norms = [np.linalg.norm(x, axis=axis) for x in (a, b)]
    varies = (norms[0] > floors[0]) & (norms[1] > floors[1])
    return np.where(varies, (a * b).sum(axis=axis) / np.maximum(norms[0] * norms[1], 1e-300), 0.0)


def _centred(values: np.ndarray, types: np.ndarray) -> np.ndarray:
    values = values.copy()
    for name in np.unique(types):
        values[types == name] -= values[types == name].mean(axis=0)
    return values
