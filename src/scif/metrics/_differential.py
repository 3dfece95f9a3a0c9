"""Differential expression after denoising: what is found, and what is called that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from scif.metrics._groups import two_groups
from scif.metrics._matrix import check_prediction, normalised

__all__ = ["CalledGenes", "called_genes", "differential_p_values", "permuted_false_positives"]

Test = Literal["t", "wilcoxon"]


def differential_p_values(
    X: Any, groups: Any, *, group: Any, reference: Any = None, test: Test = "wilcoxon"
) -> np.ndarray:
    """Two-sided p-value of each gene between two groups of cells, on log-normalised values.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes; scaled to 10,000 per cell and ``log1p``-transformed here.
    groups
        One label per cell.
    group, reference
        Labels of the two groups to compare; by default ``group`` is compared with all other cells.
    test
        ``"wilcoxon"`` (rank sum, normal approximation) or ``"t"`` (Welch).

    Returns
    -------
    One p-value per gene; 1 for a gene that does not vary.

    Raises
    ------
    ValueError
        If a group has fewer than two cells or the test is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import differential_p_values
    >>> X = np.random.default_rng(0).poisson([[50, 50, 90]] * 20 + [[50, 50, 30]] * 20)
    >>> (differential_p_values(X, [0] * 20 + [1] * 20, group=0)[2] < 1e-5).item()
    True
    """
    if test not in ("t", "wilcoxon"):
        msg = f"test is {test!r}; choose 't' or 'wilcoxon'."
        raise ValueError(msg)
    X = check_prediction(X, np.shape(X), name="X")
    one, other = two_groups(groups, X.shape[0], group=group, reference=reference)
    return _p_values(normalised(X), one, other, test)


def permuted_false_positives(
    X: Any,
    *,
    size: int | None = None,
    n_permutations: int = 20,
    level: float = 0.05,
    test: Test = "wilcoxon",
    seed: int = 0,
) -> np.ndarray:
    """Fraction of genes with a p-value below ``level`` between random groups of cells, one number per permutation.

    Pass cells of a single type. A valid test calls a fraction ``level`` of the genes on average. If denoising made
    genes alike, the fraction varies more between permutations, so a single analysis can mislead.

    Parameters
    ----------
    X
        Observed or denoised counts of cells that do not differ, cells x genes.
    size
        Number of cells in the first group; default half of them.
    n_permutations
        Number of random permutations of the labels.
    level
        P-value below which a gene is called.
    test
        As in :func:`differential_p_values`.
    seed
        Seed of the labels.

    Raises
    ------
    ValueError
        If a group would have fewer than two cells, or if an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import permuted_false_positives
    >>> X = np.random.default_rng(0).poisson(5.0, (100, 200))
    >>> bool(abs(permuted_false_positives(X, n_permutations=10).mean() - 0.05) < 0.02)
    True
    """
    X = check_prediction(X, np.shape(X), name="X")
    cells = X.shape[0]
    size = cells // 2 if size is None else size
    if not 2 <= size <= cells - 2:
        msg = f"size is {size} of {cells} cells; both groups need at least two."
        raise ValueError(msg)
    if n_permutations < 1 or not 0 < level < 1 or test not in ("t", "wilcoxon"):
        msg = f"n_permutations={n_permutations}, level={level:g} or test={test!r} is out of range."
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    values = normalised(X)
    found = np.empty(n_permutations)
    for i in range(n_permutations):
        one = np.zeros(cells, dtype=bool)
        one[rng.permutation(cells)[:size]] = True
        found[i] = (_p_values(values, one, ~one, test) < level).mean()
    return found


@dataclass(frozen=True)
class CalledGenes:
    """Genes called by a test, compared with the genes that differ; see :func:`called_genes`.

    Attributes
    ----------
    recall
        Fraction of the differing genes that are called.
    precision
        Fraction of the called genes that differ; 1 if none is called.
    null_called
        Fraction of called genes among those known not to differ; None if none were given.
    n_called
        Number of genes called.
    """

    recall: float
    precision: float
    null_called: float | None
    n_called: int


def called_genes(p_values: Any, differs: Any, *, null: Any = None, fdr: float = 0.05) -> CalledGenes:
    """Recall, precision and false calls of a differential test at a false discovery rate (Benjamini-Hochberg).

    Parameters
    ----------
    p_values
        One per gene, such as :func:`differential_p_values` of denoised counts.
    differs
        Genes that differ, as booleans: for example genes called in deep counts, or known from a simulation.
    null
        Columns known not to differ, such as genes shuffled over the cells (:func:`permute_genes`).
    fdr
        False discovery rate.

    Raises
    ------
    ValueError
        If sizes differ, if a p-value is not a probability, or if no gene differs.

    Examples
    --------
    >>> from scif.metrics import called_genes
    >>> called_genes([1e-9, 1e-8, 0.7, 1e-7], [True, True, True, False]).recall.__round__(2)
    0.67
    """
    p, truth = np.asarray(p_values, dtype=np.float64), np.asarray(differs, dtype=bool)
    if p.ndim != 1 or p.shape != truth.shape or not bool(((p >= 0) & (p <= 1)).all()):
        msg = f"p_values has shape {p.shape} and differs {truth.shape}; pass one probability and one truth per gene."
        raise ValueError(msg)
    if not truth.any():
        msg = "differs holds no gene; recall needs at least one."
        raise ValueError(msg)
    called = stats.false_discovery_control(p) < fdr
    shuffled = None if null is None else float(called[np.asarray(null)].mean())
    precision = float(truth[called].mean()) if called.any() else 1.0
    return CalledGenes(float(called[truth].mean()), precision, shuffled, int(called.sum()))


def _p_values(values: np.ndarray, one: np.ndarray, other: np.ndarray, test: Test) -> np.ndarray:
    a, b = values[one], values[other]
    spread = np.maximum(a.max(axis=0), b.max(axis=0)) - np.minimum(a.min(axis=0), b.min(axis=0))
    p = np.ones(values.shape[1])
    varies = spread > 1e-6 * np.maximum(np.abs(a.mean(axis=0)), 1e-6)  # less is rounding in single precision
    for start in range(0, int(varies.sum()), 500):
        genes = np.flatnonzero(varies)[start : start + 500]
        if test == "t":
            with np.errstate(divide="ignore", invalid="ignore"):
                p[genes] = stats.ttest_ind(a[:, genes], b[:, genes], equal_var=False).pvalue
        else:
            p[genes] = stats.mannwhitneyu(a[:, genes], b[:, genes], method="asymptotic").pvalue
    return np.nan_to_num(p, nan=1.0)
