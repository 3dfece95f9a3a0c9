"""Score test of genes that are a large part of their cells' libraries: the factors leave the gene out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scif.counts.statistics.independent_genes import Pooled
from scif.counts.statistics.normalise import log_normalise, totals
from scif.counts.statistics.regressed import Regressed

__all__ = ["DEGREE", "LeftOut", "large_genes", "powers"]

#: Share of the library, where a gene's molecules are, from which on it is left out; with less the first order does.
LARGE = 0.02
#: Points between which factors are interpolated, and how much less deep without the gene (in logarithms) at the most.
POINTS, DEEPEST = 5, 4.0
#: Slopes of its trend with depth, from as many counts at every depth on. Where libraries are of one size, a gene has
#: the fewer molecules the more the others have, which is no trend: all that it varies would be taken out.
BOUNDS = (-1.0, np.inf)
#: Powers of depth that are regressed out of the factors, and the ridge of that regression.
DEGREE, RIDGE = 3, 0.01


def large_genes(x: sparse.csr_matrix) -> np.ndarray:
    """Genes with more than a fiftieth of the library in the cell of their average molecule."""
    molecules = np.asarray(x.sum(0)).ravel()
    among = np.asarray((sparse.diags(1.0 / totals(x)) @ x.multiply(x)).sum(0)).ravel()
    return np.flatnonzero(among > LARGE * molecules)


def powers(depth: np.ndarray) -> np.ndarray:
    """Powers of the log library size, ``(cells, q)``."""
    level = np.log(depth)
    level = (level - level.mean()) / max(level.std(), 1e-12)
    return np.vander(level, DEGREE + 1)[:, :-1]


@dataclass(frozen=True)
class LeftOut:
    r"""Latent factors of cells without one of their genes.

    With molecules of a gene a cell's library is larger, so that its other genes seem to be expressed less, and factors
    and the trend with depth follow the gene. Where it is little of the library this is told to first order; where it
    is much, nothing short of leaving it out will do: a count that is drawn without regard to the cell is what the
    cell's factors, and its library size, are made of. Without gene ``g`` the library size is
    :math:`L_i - x_{ig} = L_i e^{-\delta}`, and the code is a smooth function of :math:`\delta`, less the gene's own
    score.

    Attributes
    ----------
    counts
        Of the large genes, ``(cells, genes)``.
    depth
        Library sizes ``(cells,)``.
    median
        Library size that scores are for.
    member
        One in the column of each cell's batch, ``(cells, batches)``.
    first
        Which half a cell is in, ``(cells,)``.
    axes
        Weights of the large genes in the factors of the first and of the other half, ``(2, genes, k)``.
    points, factors
        Values of :math:`\delta` ``(p,)``, and factors there, ``(p, cells, k)``.
    """

    counts: sparse.csc_matrix
    depth: np.ndarray
    median: float
    member: np.ndarray
    first: np.ndarray
    axes: np.ndarray
    points: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(
        cls,
        x: sparse.csr_matrix,
        genes: np.ndarray,
        *,
        axes: Sequence[np.ndarray],
        first: np.ndarray,
        member: np.ndarray,
    ) -> LeftOut:
        """Leave some genes out of all counts, with the axes ``(genes, k)`` of either half."""
        depth, counts = totals(x).astype(np.float64), sparse.csc_matrix(x[:, genes], dtype=np.float64)
        share = sparse.diags(1.0 / depth) @ counts
        most = -np.log1p(-min(float(share.max()), 1.0 - np.exp(-DEEPEST)))
        points = most / 2 * (1 - np.cos(np.linspace(0.0, np.pi, POINTS)))
        median = float(np.median(depth))
        factors = np.empty((POINTS, len(depth), axes[0].shape[1]), dtype=np.float32)
        for rows, along in zip((first, ~first), axes, strict=True):
            half = x[rows]
            for at, point in zip(factors, points, strict=True):
                at[rows] = log_normalise(half, median * np.exp(point)) @ along
        return cls(counts, depth, median, member, first, np.stack([a[genes] for a in axes]), points, factors)

    def score(self, gene: int) -> float:
        """Evidence of one of the large genes, as a standard score; zero where too few cells have anything else."""
        x = self.counts[:, [gene]].toarray().ravel()
        cells = np.flatnonzero(x < self.depth)
        if len(cells) // 2 <= DEGREE + self.member.shape[1]:
            return 0.0
        x, member = x[cells], self.member[cells]
        depth = self.depth[cells] - x
        z = self._factors(gene, x, cells)
        pooled = Pooled.of(sparse.csr_matrix(x[:, None]), depth, member=member, bounds=BOUNDS)
        rest, weight = (part.ravel() for part in pooled.residuals(x[:, None], depth, member))
        halves = [self.first[cells], ~self.first[cells]]
        along = powers(depth)
        for rows in halves:
            z[rows] = _beside(z[rows], rest[rows], along=along[rows], member=member[rows])
        scale = np.sqrt((z**2).mean(0)).clip(1e-12)
        z /= scale
        sums = [
            Regressed(*(part[None] for part in (r @ c, w @ c**2, w @ c, w.sum(), r @ r)))
            for r, w, c in ((rest[rows], weight[rows], z[rows]) for rows in halves)
        ]
        return float(sums[0].plus(sums[1]).score(scale)[0])

    def _factors(self, gene: int, x: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Factors of some cells without the gene, of which they have ``x`` molecules, ``(cells, k)``."""
        most = self.points[-1]
        deeper = (-np.log1p(-x / self.depth[cells])).clip(0.0, most)
        weights = np.vander(deeper / most, POINTS) @ np.linalg.inv(np.vander(self.points / most, POINTS))
        factors = np.einsum("ip,pik->ik", weights, self.factors[:, cells])
        own = np.log1p(x * self.median / (self.depth[cells] - x))
        factors -= own[:, None] * self.axes[np.where(self.first[cells], 0, 1), gene]
        return factors


def _beside(z: np.ndarray, rest: np.ndarray, *, along: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Codes without what differs between batches, and without what follows depth and not the gene.

    Where libraries are of one size, depth without the gene is what the gene leaves: what both could be the cause of is
    left with the gene, by a regression on both in which powers of depth have a ridge.
    """
    cells = member.sum(0).clip(1.0)[:, None]
    factors, along, rest = (part - member @ (member.T @ part / cells) for part in (z, along, rest[:, None]))
    basis = np.linalg.qr(along)[0]
    rest /= max(float(np.linalg.norm(rest)), 1e-12)
    shared = basis.T @ rest
    gram = (1.0 + RIDGE) * np.eye(basis.shape[1]) - shared @ shared.T
    factors -= basis @ np.linalg.solve(gram, basis.T @ factors - shared @ (rest.T @ factors))
    return factors
