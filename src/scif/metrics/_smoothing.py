"""Over-smoothing: does a denoiser invent correlation, or flatten what differs?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from scif.metrics._matrix import as_counts, check_prediction, library_sizes, normalised

__all__ = ["VarianceKept", "gene_correlation_error", "mean_absolute_correlation", "permute_genes", "variance_kept"]

#: Spread, as a share of the mean, that is rounding: denoised counts are in single precision.
_ROUNDING = 1e-6


def permute_genes(
    X: Any,
    genes: Sequence[int] | np.ndarray,
    *,
    kind: Literal["rate", "count"] = "rate",
    seed: int | np.random.Generator = 0,
) -> sparse.csr_matrix:
    """Shuffle the expression of some genes over the cells, each gene independently.

    This is the null model of an over-smoothing check :cite:p:`andrews2019false`: after denoising, the shuffled genes
    must stay uncorrelated with all others (:func:`mean_absolute_correlation`).

    Parameters
    ----------
    X
        Counts, cells x genes, sparse or dense.
    genes
        Columns to shuffle.
    kind
        Quantity to shuffle. ``"rate"``: a cell's count per library molecule, rounded at random in the new cell so that
        the expectation is kept. ``"count"``: the count itself. Such a count no longer grows with the library size, so
        the gene's fraction of molecules falls with depth and correlates with all genes that differ between deep and
        shallow cells. This is a harder null.
    seed
        Seed of the shuffle, or a generator.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import permute_genes
    >>> null = permute_genes(np.array([[0, 9], [1, 8], [2, 7], [3, 6]]), [0])
    >>> sorted(null[:, 0].toarray().ravel().astype(int).tolist()), null[:, 1].toarray().ravel().astype(int).tolist()
    ([0, 1, 2, 3], [9, 8, 7, 6])
    """
    if kind not in ("rate", "count"):
        msg = f"kind={kind!r} is unknown; choose 'rate' or 'count'."
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    counts = as_counts(X)
    size = library_sizes(counts)
    counts = counts.tocsc()
    for gene in np.asarray(genes):
        entries = slice(counts.indptr[gene], counts.indptr[gene + 1])
        cells = rng.choice(counts.shape[0], size=entries.stop - entries.start, replace=False)
        if kind == "rate":
            expected = counts.data[entries] * size[cells] / size[counts.indices[entries]]
            counts.data[entries] = np.floor(expected + rng.random(cells.size))
        counts.indices[entries] = cells
    counts.has_sorted_indices = False
    counts = counts.tocsr()
    counts.eliminate_zeros()
    return counts


def mean_absolute_correlation(X: Any, genes: Sequence[int] | np.ndarray) -> float:
    """Mean absolute Pearson correlation of some genes with every other gene, over cells.

    Counts are scaled to 10,000 per cell and ``log1p``-transformed first. Genes that do not vary, up to
    rounding in single precision, count as uncorrelated.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes.
    genes
        Columns whose correlation with the remaining columns is averaged.
    """
    X = check_prediction(X, np.shape(X), name="X")
    chosen = np.zeros(X.shape[1], dtype=bool)
    chosen[np.asarray(genes)] = True
    values = _standardised(normalised(X))
    return float(np.abs(values[:, chosen].T @ values[:, ~chosen]).mean() / X.shape[0])


def gene_correlation_error(denoised: Any, truth: Any, *, n_genes: int = 500) -> float:
    """Mean absolute error of gene-gene correlations relative to the truth, for the most abundant genes.

    Parameters
    ----------
    denoised
        Observed or denoised counts, cells x genes.
    truth
        True expected counts (or much deeper counts) of the same shape.
    n_genes
        Number of genes to compare, the most abundant in ``truth`` first.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import gene_correlation_error
    >>> truth = np.array([[1.0, 2.0, 7.0], [3.0, 3.0, 4.0], [6.0, 1.0, 3.0]])
    >>> gene_correlation_error(10 * truth, truth)
    0.0
    """
    truth = check_prediction(truth, np.shape(truth), name="truth")
    denoised = check_prediction(denoised, truth.shape, name="denoised")
    abundance = np.asarray(truth.sum(axis=0, dtype=np.float64)).ravel()
    top = np.sort(np.argsort(-abundance, kind="stable")[:n_genes])
    difference = np.zeros((top.size, top.size))
    for X, sign in ((denoised, 1.0), (truth, -1.0)):
        values = _standardised(normalised(X, top))
        difference += sign * (values.T @ values) / truth.shape[0]
    upper = np.triu_indices(top.size, 1)
    return float(np.abs(difference[upper]).mean())


@dataclass(frozen=True)
class VarianceKept:
    """Variance after denoising divided by the true variance, between and within groups of cells; 1 is ideal."""

    between: float
    within: float


def variance_kept(denoised: Any, truth: Any, groups: Sequence[Any] | np.ndarray) -> VarianceKept:
    """Ratio of denoised to true variance, between and within groups of cells.

    Variances are computed on ``log1p`` of 10,000-normalised values and summed over genes. Noise increases them, and
    over-smoothing reduces them, most of all within groups.

    Parameters
    ----------
    denoised
        Observed or denoised counts, cells x genes.
    truth
        True expected counts of the same shape.
    groups
        One label per cell.
    """
    truth = check_prediction(truth, np.shape(truth), name="truth")
    denoised = check_prediction(denoised, truth.shape, name="denoised")
    labels = np.asarray(groups)
    if labels.shape != (truth.shape[0],):
        msg = f"groups has shape {labels.shape}; pass one label for each of the {truth.shape[0]} cells."
        raise ValueError(msg)
    parts = []
    for X in (denoised, truth):
        values = normalised(X)
        values -= values.mean(axis=0)
        total = float(np.square(values).sum())
        between = sum(
            float((labels == group).sum() * np.square(values[labels == group].mean(axis=0)).sum())
            for group in np.unique(labels)
        )
        parts.append((between, total - between))
    (between, within), (true_between, true_within) = parts
    return VarianceKept(between / true_between, within / true_within)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Columns of mean zero and variance one; columns that are constant up to rounding become zero."""
    mean = values.mean(axis=0)
    values = values - mean
    spread = values.std(axis=0)
    return values / np.where(spread > _ROUNDING * np.abs(mean), spread, np.inf)
