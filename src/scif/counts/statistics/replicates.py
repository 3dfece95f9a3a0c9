"""Overdispersion of counts between cells that are as good as replicates: an upper bound of what is technical."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.extmath import randomized_svd

from scif.counts.statistics.normalise import log_normalise

__all__ = ["ReplicateDispersion", "replicate_dispersion"]

#: Genes with the most counts that are looked at, cells, and components in which cells are compared.
GENES, CELLS, WIDTH = 400, 1500, 10
#: Closest pairs: so many, or one for so many cells.
PAIRS, ONE_IN = 20, 4
#: Share of the genes that are steadiest; dispersion for which weights of the genes are best.
STEADIEST, TYPICAL = 1.0 / 3.0, 0.1
#: Standard errors by which a dispersion must differ from none to be evidence, and that are taken off what is found.
EVIDENCE, MARGIN = 3.0, 2.0
#: Fewest cells and genes from which anything is found.
FEWEST_CELLS, FEWEST_GENES = 10, 8


@dataclass(frozen=True)
class ReplicateDispersion:
    """Dispersion between the closest pairs of cells.

    Attributes
    ----------
    found
        Dispersion of the steadiest genes, unbiased: it may be negative.
    error
        Its standard error over genes.
    """

    found: float
    error: float

    @property
    def technical(self) -> float:
        """Technical dispersion: none without evidence against Poisson noise."""
        return max(self.found - MARGIN * self.error, 0.0) if self.found > EVIDENCE * self.error else 0.0


def replicate_dispersion(x: sparse.csr_matrix, *, rng: np.random.Generator) -> ReplicateDispersion:
    r"""Dispersion of counts between the closest pairs of cells, in genes that did not choose the pairs.

    Technical dispersion :math:`\phi` is at least there in every gene and in every pair of cells. For cells ``i``, ``j``
    that express a gene alike, with libraries ``L`` and shares :math:`y = x / L`,

    .. math:: E[(y_i - y_j)^2] = \rho (1 / L_i + 1 / L_j) + 2 \phi \rho^2,

    where counts estimate the first term and :math:`y_i y_j` estimates :math:`\rho^2` without bias. One half of the
    genes chooses pairs by distance, the other is measured on them; some of the pairs choose the steadiest genes, the
    others measure them. What cells of a pair differ by is left, so that the result is a bound from above.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    rng
        Chooses cells and divides genes and pairs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mean = rng.gamma(1.0, 20.0, 60)
    >>> x = rng.poisson(mean * rng.gamma(5.0, 0.2, (200, 60)))
    >>> round(replicate_dispersion(sparse.csr_matrix(x), rng=rng).found, 1)
    0.2
    """
    depth = np.asarray(x.sum(1)).ravel()
    x = x[np.sort(rng.permutation(np.flatnonzero(depth > 0))[:CELLS])]
    genes = np.argsort(-np.asarray(x.sum(0)).ravel(), kind="stable")[:GENES]
    genes = genes[np.asarray(x[:, genes].sum(0)).ravel() > 0]
    if x.shape[0] < FEWEST_CELLS or len(genes) < FEWEST_GENES:
        return ReplicateDispersion(0.0, np.inf)
    depth = np.asarray(x.sum(1)).ravel().astype(np.float64)
    logs = log_normalise(x, float(np.median(depth)))
    y = x[:, genes].toarray() / depth[:, None]
    half = np.arange(len(genes)) % 2 == 0  # as many of the abundant genes in one as in the other
    parts = [_measured(y[:, ~chosen], depth, _closest(logs[:, genes[chosen]], depth), rng) for chosen in (half, ~half)]
    excess, square = (np.concatenate(part) for part in zip(*parts, strict=True))
    if square.sum() <= 0:
        return ReplicateDispersion(0.0, np.inf)
    found = excess.sum() / square.sum()
    error = np.sqrt(np.square(excess - found * square).sum()) / square.sum()
    return ReplicateDispersion(float(found), float(error))


def _closest(logs: sparse.csr_matrix, depth: np.ndarray) -> np.ndarray:
    """The pairs of cells that differ least, ``(pairs, 2)``, each cell with its nearest neighbour."""
    width = min(WIDTH, min(logs.shape) - 1)
    left, singular, _ = randomized_svd(logs, width, n_iter=3, random_state=0)
    scores = left * singular
    distance, neighbour = NearestNeighbors(n_neighbors=2).fit(scores).kneighbors(scores)
    # cells that are the same have each other or themselves first
    other = np.where(neighbour[:, 0] == np.arange(len(scores)), neighbour[:, 1], neighbour[:, 0])
    pairs = np.sort(np.column_stack([np.arange(len(scores)), other]), axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(distance[first, 1], kind="stable")
    return pairs[order[: max(PAIRS, len(depth) // ONE_IN)]]


def _measured(
    y: np.ndarray, depth: np.ndarray, pairs: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted excess variance and twice the squared mean of the steadiest genes, ``(genes chosen,)`` each."""
    excess, square = _sums(y, depth, pairs)
    first = rng.permutation(len(pairs)) < len(pairs) // 2
    keep = max(int(STEADIEST * excess.shape[1]), 1)
    parts = []
    for chosen in (first, ~first):
        there = square[chosen].sum(0)
        dispersion = np.where(there > 0, excess[chosen].sum(0) / there.clip(1e-300), np.inf)
        steady = np.argsort(dispersion, kind="stable")[:keep]
        parts.append((excess[~chosen][:, steady].sum(0), square[~chosen][:, steady].sum(0)))
    return np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], parts[1][1]])


def _sums(y: np.ndarray, depth: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both for each pair and gene, with the weights that are best for counts of average genes."""
    a, b = y[pairs[:, 0]], y[pairs[:, 1]]
    inverse_a, inverse_b = (1.0 / depth[pairs[:, i]][:, None] for i in (0, 1))
    mean = y.mean(0).clip(1e-12)
    weight = 1.0 / (0.5 * (inverse_a + inverse_b) / mean + TYPICAL) ** 2 / mean**2
    excess = (a - b) ** 2 - a * inverse_a - b * inverse_b
    return weight * excess, weight * 2.0 * a * b
