"""Score test of shared variance: on factors that were fitted to neither the cell nor the gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from scif.counts.statistics.independent_genes import Pooled
from scif.counts.statistics.large_genes import LeftOut, large_genes, powers
from scif.counts.statistics.normalise import log_normalise, totals
from scif.counts.statistics.regressed import Regressed
from scif.parallel import spread

__all__ = ["evidence"]

#: Entries (cells x genes) that are dense at a time.
ENTRIES = 1_000_000


def evidence(
    x: sparse.csr_matrix, components: np.ndarray, *, batch: np.ndarray | None = None, rng: np.random.Generator
) -> np.ndarray:
    r"""Standard score of the variance that each gene shares with others, ``(genes,)``; N(0, 1) if it shares none.

    Codes of a half of the cells are scores along the components of the other half, so that they fit no noise of the
    cells that they are tested on; what a gene's own counts do to them, by its score and as a part of the library
    size, is taken off, and so is what follows the library size or the batch. With :math:`r` the residuals of a gene
    around the pooled profile and its trend with depth, weighted as negative binomial counts with the variance that
    the gene shows, :math:`u_k = \sum_i r_i z_{ik}` has variance :math:`h_k` if the gene follows nothing, and the
    statistic is :math:`\sum_k s_k (u_k^2 / h_k - 1) / \sqrt{2 \sum_k s_k^2}`: strong directions, of standard
    deviation :math:`s_k`, are what most genes share. Genes that are much of their libraries are left out of factors and
    library sizes altogether (``LeftOut``). Zero for all genes where cells are too few.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``, none of the cells empty.
    components
        Components of all cells ``(genes, k)``: the axes of both halves are turned towards them, so that what the
        halves find can be summed.
    batch
        Batch codes ``(cells,)``.
    rng
        Halves the cells.
    """
    cells, genes = x.shape
    member = np.ones((cells, 1)) if batch is None else np.eye(batch.max() + 1)[batch]
    depth = totals(x).astype(np.float64)
    along = _nuisance(depth, member)
    width = min(components.shape[1], cells // 2 - along.shape[1] - 1, genes - 1)
    if width < 1:
        return np.zeros(genes)
    pooled = Pooled.of(x, depth, member=member)
    scores = log_normalise(x, float(np.median(depth)))
    first = rng.permutation(cells) % 2 == 0
    axes = [_axes(scores[~rows], components[:, :width]) for rows in (first, ~first)]
    halves = [
        _Half.along(turned, x[rows], scores=scores[rows], member=member[rows], nuisance=along[rows])
        for rows, turned in zip((first, ~first), axes, strict=True)
    ]
    scale = np.sqrt(sum((half.factors**2).sum(0) for half in halves) / cells).clip(1e-12)
    a, b = (_sums(half, pooled, scale=scale) for half in halves)
    score = a.plus(b).score(scale)
    if len(large := large_genes(x)):
        left_out = LeftOut.of(x, large, axes=axes, first=first, member=member)
        score[large] = list(spread(left_out.score, range(len(large)), on=torch.device("cpu")))
    return score


@dataclass(frozen=True)
class _Half:
    """Half of the cells, along components of the other half.

    Attributes
    ----------
    counts, scores
        Of these cells; scores are log-normalised counts.
    member
        One in the column of each cell's batch, ``(cells, batches)``.
    nuisance
        Orthonormal columns ``(cells, q)`` that factors must not contain.
    axes
        Components of the other half ``(genes, k)``.
    factors
        Scores along the axes, without what follows the nuisance, ``(cells, k)``.
    closure
        What scores along the axes lose as the logarithm of the library size grows, ``(cells, k)``.
    """

    counts: sparse.csr_matrix
    scores: sparse.csr_matrix
    member: np.ndarray
    nuisance: np.ndarray
    axes: np.ndarray
    factors: np.ndarray
    closure: np.ndarray

    @classmethod
    def along(
        cls,
        axes: np.ndarray,
        counts: sparse.csr_matrix,
        *,
        scores: sparse.csr_matrix,
        member: np.ndarray,
        nuisance: np.ndarray,
    ) -> _Half:
        """Cells whose nuisance need not be orthonormal."""
        nuisance = np.linalg.qr(nuisance)[0]
        factors = scores @ axes
        slope = scores.copy()
        slope.data = -np.expm1(-slope.data)  # of log(1 + x) in log x
        factors = factors - nuisance @ (nuisance.T @ factors)
        return cls(counts, scores, member, nuisance, axes, factors, slope @ axes)


def _sums(half: _Half, pooled: Pooled, *, scale: np.ndarray) -> Regressed:
    """Regress each gene's residuals on factors, in units of ``scale``, that have not seen it."""
    cells, genes = half.counts.shape
    z, axes, closure = ((part / scale).astype(np.float32) for part in (half.factors, half.axes, half.closure))
    nuisance = half.nuisance.astype(np.float32)
    depth, member = totals(half.counts), half.member.astype(np.float32)
    share = sparse.csr_matrix(sparse.diags(1.0 / depth) @ half.counts)
    size = max(1, ENTRIES // genes)

    def found(start: int) -> tuple[np.ndarray, ...]:
        part = slice(start, start + size)
        counts = half.counts[part]
        rest, weight = pooled.residuals(counts.toarray(), depth[part], member[part])
        # Without the gene factors would lack its score, and the others' would be of a smaller library.
        own = np.asarray(half.scores[part].multiply(rest).sum(0)).ravel()
        gradient = rest.T @ z[part] + share[part].multiply(rest).T @ closure[part]
        information, cross = weight.T @ z[part] ** 2, weight.T @ z[part]
        return gradient, information, cross, weight.sum(0), (rest**2).sum(0), own, nuisance[part].T @ rest

    sums: list[np.ndarray] = []
    for parts in spread(found, range(0, cells, size), on=torch.device("cpu")):
        if not sums:
            sums = [part.astype(np.float64) for part in parts]
            continue
        for total, part in zip(sums, parts, strict=True):
            total += part
    gradient, information, cross, level, square, own, along = sums
    own -= (along * (half.scores.T @ nuisance).T).sum(0)
    gradient -= axes * own[:, None]
    for column, rest_along in zip(nuisance.T, along, strict=True):
        gradient -= rest_along[:, None] * (share.T @ (column[:, None] * closure))
    return Regressed(gradient, information, cross, level, square)


def _axes(scores: sparse.csr_matrix, components: np.ndarray) -> np.ndarray:
    """Components of some cells ``(genes, k)``, turned towards those of all."""
    axes = randomized_svd(scores, components.shape[1], n_iter=2, random_state=0)[2].T
    left, _, right = np.linalg.svd(axes.T @ components)
    turned: np.ndarray = axes @ (left @ right)
    return turned


def _nuisance(depth: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Powers of the log library size, and batches, ``(cells, q)``."""
    return np.hstack([powers(depth), np.ones((len(depth), 1)), member[:, 1:]])
