"""The numbers of an over-smoothing panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scif.metrics._blocks import blocks
from scif.metrics._groups import as_labels
from scif.metrics._matrix import as_counts, normalised

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OverSmoothing", "over_smoothing"]


@dataclass(frozen=True)
class OverSmoothing:
    """Effects of denoising on correlations, zeros and variance; see :func:`scif.metrics.over_smoothing`.

    Attributes
    ----------
    correlation_observed, correlation_denoised
        Absolute correlations of pairs of the selected genes, before and after denoising, one per pair.
    correlation_null
        The same for denoised counts whose genes were shuffled over the cells; None if not given.
    zeros_positive
        Fraction of each gene's observed zeros that became ``threshold`` or more, one per gene.
    variance_within
        Ratio of denoised to observed variance within clusters, one per selected gene; None without clusters.
    genes
        Columns of the selected genes.
    """

    correlation_observed: np.ndarray
    correlation_denoised: np.ndarray
    correlation_null: np.ndarray | None
    zeros_positive: np.ndarray
    variance_within: np.ndarray | None
    genes: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per measure: its mean and its median."""
        import pandas as pd

        rows = {
            "absolute correlation, observed": self.correlation_observed,
            "absolute correlation, denoised": self.correlation_denoised,
            "absolute correlation, shuffled genes denoised": self.correlation_null,
            "share of zeros turned positive": self.zeros_positive,
            "variance within clusters, denoised / observed": self.variance_within,
        }
        found = {name: {"mean": x.mean(), "median": np.median(x)} for name, x in rows.items() if x is not None}
        return pd.DataFrame.from_dict(found, orient="index").rename_axis("measure")

    def __repr__(self) -> str:
        return f"OverSmoothing, {self.genes.size} genes\n{self.to_frame().round(3).to_string()}"


def over_smoothing(
    denoised: Any,
    observed: Any,
    *,
    denoised_null: Any = None,
    clusters: Any = None,
    n_genes: int = 200,
    threshold: float = 0.5,
) -> OverSmoothing:
    """Inflation of correlations, zeros turned positive, and variance within clusters.

    True correlations are larger than those of noisy counts, so some inflation is right. Correlations of shuffled genes
    are not: shuffle the observed counts (:func:`permute_genes`), denoise them, and pass the result as
    ``denoised_null``. Correlations and variances are computed on ``log1p`` of 10,000-normalised values of the most
    abundant genes.

    Parameters
    ----------
    denoised
        Expected counts at the depth of ``observed``, cells x genes; or a function that maps a slice of cells to their
        rows.
    observed
        Observed counts of the same shape.
    denoised_null
        Denoised counts of ``observed`` after each gene was shuffled over the cells, in the same form as ``denoised``.
    clusters
        One label per cell.
    n_genes
        Number of genes to use.
    threshold
        Denoised value (molecules) from which a zero counts as turned positive; the default rounds to one molecule.

    Raises
    ------
    ValueError
        If shapes differ or labels do not fit.

    Examples
    --------
    >>> from scif.datasets import simulate_counts
    >>> from scif.metrics import over_smoothing, truncated_svd
    >>> cells = simulate_counts(200, 100, seed=0)
    >>> panel = over_smoothing(truncated_svd(cells.X, 2), cells.X, clusters=cells.obs["cell_type"])
    >>> bool(panel.correlation_denoised.mean() > 3 * panel.correlation_observed.mean())
    True
    """
    counts = as_counts(observed, name="observed")
    genes = np.sort(np.argsort(-np.asarray(counts.sum(axis=0)).ravel(), kind="stable")[:n_genes])
    before = normalised(counts, genes)
    after, positive = _reduced(denoised, counts, genes, threshold, name="denoised")
    null = None
    if denoised_null is not None:
        null = _pair_correlations(_reduced(denoised_null, counts, genes, threshold, name="denoised_null")[0])
    within = None
    if clusters is not None:
        types = as_labels(clusters, counts.shape[0], name="clusters")
        variances = [_within(x, types) for x in (before, after)]
        within = np.where(variances[0] > 0, variances[1] / np.where(variances[0] > 0, variances[0], 1.0), 1.0)
    zeros = positive / np.maximum(counts.shape[0] - counts.getnnz(axis=0), 1)
    return OverSmoothing(_pair_correlations(before), _pair_correlations(after), null, zeros, within, genes)


def _reduced(
    denoised: Any, counts: sparse.csr_matrix, genes: np.ndarray, threshold: float, *, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Log-normalised values of some genes, and how many zeros of each gene turned positive, in one pass."""
    values, positive = np.empty((counts.shape[0], genes.size)), np.zeros(counts.shape[1])
    for rows, block in blocks(denoised, counts.shape, name=name):
        values[rows] = normalised(block, genes)
        positive += ((block >= threshold) & (counts[rows].toarray() == 0)).sum(axis=0)
    return values, positive


def _pair_correlations(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > 1e-6 * np.abs(values.mean(axis=0))  # less is rounding in single precision
    scaled = centred / np.where(varies, spread, np.inf)
    return np.abs(scaled.T @ scaled / len(values))[np.triu_indices(values.shape[1], 1)]


def _within(values: np.ndarray, types: np.ndarray) -> np.ndarray:
    total = np.zeros(values.shape[1])
    for name in np.unique(types):
        total += values[types == name].var(axis=0) * (types == name).sum()
    return total / len(values)
