"""Pairs of like cells: counts differ between them at least as counting makes them differ."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist

__all__ = ["too_alike"]

#: Cells among which pairs are sought, and genes by which; mean counts of a gene in which differences are measured, and
#: pairs and measured genes without which nothing is said.
CELLS, GENES, MEASURED, PAIRS, FEWEST = 512, 200, 1.7, 10, 3
#: Ratio that corrected counts do not fall below; that of counts with a margin, and standard errors below it.
LEAST_RATIO, USUAL_RATIO, SURE = 0.5, 0.9, 6.0


def too_alike(x: sparse.csr_matrix) -> float | None:
    r"""Say how little genes differ between pairs of like cells, where no counts differ so little; else None.

    For two independent Poisson counts of whatever means, :math:`E (x - y)^2 \ge E (x + y)`. It holds for any pairs of
    cells that are chosen without looking at the gene, and is sharp for cells that are alike: each half of the genes
    chooses the pairs for the other. Logarithms, roots and smoothed values differ much less.

    Parameters
    ----------
    x
        Values ``(cells, genes)``, not negative.

    Returns
    -------
    float or None
        Median over genes of :math:`\sum (x - y)^2 / \sum (x + y)`, if it is far below one.

    Examples
    --------
    >>> x = np.random.default_rng(0).poisson(9.0, (60, 40))
    >>> too_alike(sparse.csr_matrix(x)) is None
    True
    >>> too_alike(sparse.csr_matrix(np.round(np.sqrt(x)))) < 0.2
    True
    """
    some = sparse.csr_matrix(x, dtype=np.float64)[:CELLS]
    means = np.asarray(some.mean(0)).ravel()
    genes = np.argsort(-means, kind="stable")[:GENES]
    if len(genes) < 2 or means[genes[FEWEST - 1 : FEWEST]].max(initial=0.0) < MEASURED:
        return None
    values = some[:, genes].toarray()
    values = np.unique(values, axis=0)  # a cell that is there twice says nothing
    share = (means[genes] / max(means.sum(), 1e-300)).clip(max=0.9)  # equal sums take this from a gene's variance
    ratios, errors = [], []
    for half in (np.arange(len(genes)) % 2 == 0, np.arange(len(genes)) % 2 == 1):
        measured = half & (means[genes] >= MEASURED)
        first, second = _pairs(np.sqrt(values[:, ~half]))
        if len(first) < PAIRS or not measured.any():
            continue
        one, other = values[first][:, measured], values[second][:, measured]
        total = (one + other).sum(0)
        ratios.append(((one - other) ** 2).sum(0) / total.clip(1.0) / (1.0 - share[measured]))
        errors.append(len(first) * int(measured.sum()))
    if sum(map(len, ratios)) < FEWEST:
        return None
    ratio = float(np.median(np.concatenate(ratios)))
    error = 1.25 * np.sqrt(2.0 / sum(errors))
    return ratio if ratio < min(LEAST_RATIO, USUAL_RATIO - SURE * error) else None


def _pairs(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells, each in one pair at the most, with the nearest of those that are left: the nearer half of all pairs."""
    distance = cdist(scores, scores, "sqeuclidean")
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1, kind="stable")[:, :5]
    first, second = np.repeat(np.arange(len(scores)), near.shape[1]), near.ravel()
    order = np.argsort(distance[first, second], kind="stable")
    free = np.ones(len(scores), dtype=bool)
    pairs = []
    for i, j in zip(first[order], second[order], strict=True):
        if i != j and free[i] and free[j]:
            free[[i, j]] = False
            pairs.append((i, j))
    kept = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    kept = kept[: max(-(-len(kept) // 2), min(len(kept), 2 * PAIRS))]
    return kept[:, 0], kept[:, 1]
