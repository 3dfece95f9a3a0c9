"""Counts of genes by batch and cluster as a log-linear model without the interaction of the three."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["LogLinear", "fit_log_linear", "shrink_offsets"]

#: Molecules added to the observed and to the expected count of a gene in a batch.
PSEUDO = 1.0
#: Share of the pooled profile in the profile of a cluster: a gene of which a cluster has no molecule is not impossible.
POOLED = 0.001
#: Expected molecules of a gene in a batch from which on its offset tells how much offsets vary.
MEASURED = 3.0


@dataclass(frozen=True)
class LogLinear:
    """A fit of :func:`fit_log_linear`.

    Attributes
    ----------
    offset
        Log factor of each batch on each gene ``(batches, genes)``, zero on average over batches weighted by molecules.
    profile
        Composition of each cluster ``(clusters, genes)``, in a batch with offsets of zero.
    expected
        Molecules of each gene in each batch at offsets of zero, ``(batches, genes)``.
    noise
        Variance of the offsets, ``(batches, genes)``.
    rounds
        Rounds until convergence.
    """

    offset: np.ndarray
    profile: np.ndarray
    expected: np.ndarray
    noise: np.ndarray
    rounds: int

    def assign(self, x: sparse.csr_matrix, batch: np.ndarray) -> tuple[np.ndarray, float]:
        """Cluster of greatest likelihood of each cell ``(cells,)``, and log-likelihood per molecule."""
        best = np.empty(len(batch), dtype=np.int64)
        total = 0.0
        for b in np.unique(batch):
            rows = np.flatnonzero(batch == b)
            logits = np.log(self.profile) + self.offset[b]
            logits -= np.log(np.exp(logits).sum(1, keepdims=True))
            likelihood = x[rows] @ logits.T
            best[rows] = likelihood.argmax(1)
            total += float(likelihood.max(1).sum())
        return best, total / float(x.sum())


def fit_log_linear(
    x: sparse.csr_matrix,
    batch: np.ndarray,
    cluster: np.ndarray,
    *,
    tolerance: float = 1e-3,
    max_rounds: int = 100,
) -> LogLinear:
    r"""Fit :math:`E[T_{bcg}] = s_{bc}\,p_{cg} \exp(o_{bg})` by iterative proportional fitting.

    The margins of the table over clusters, over batches and over genes are all that it takes.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    batch, cluster
        One in the column of each cell's batch and cluster, ``(cells, batches)`` and ``(cells, clusters)``.
    tolerance
        Largest change of a well-measured offset at which rounds end.
    max_rounds
        Most rounds.
    """
    depth = np.asarray(x.sum(1)).ravel().astype(np.float64)
    size = batch.T @ (depth[:, None] * cluster)  # (batches, clusters)
    by_batch, by_cluster = (np.asarray((x.T @ part).T, dtype=np.float64) for part in (batch, cluster))
    pooled = by_cluster.sum(0) / by_cluster.sum()
    known = pooled > 0
    profile = np.full(by_cluster.shape, 0.0)
    offset = np.zeros(by_batch.shape)
    scale = size
    rounds, change = 0, np.inf
    while change >= tolerance and rounds < max_rounds:
        exposure = scale.T @ np.exp(offset)  # (clusters, genes)
        profile = (by_cluster + POOLED * by_cluster.sum(1, keepdims=True) * pooled) / (
            exposure + POOLED * scale.sum(0)[:, None] + 1e-12
        )
        profile = np.where(known, profile.clip(1e-12), 1e-12)
        scale = size / (np.exp(offset) @ profile.T).clip(1e-12)
        expected = scale @ profile
        before, offset = offset, np.log((by_batch + PSEUDO) / (expected + PSEUDO))
        offset = _centred(offset, expected)
        change, rounds = float(np.abs(offset - before)[expected > 10].max(initial=0.0)), rounds + 1
    squares = np.asarray((x.multiply(x).T @ batch).T, dtype=np.float64)
    each = (depth[:, None] * cluster) / np.take_along_axis(
        (np.exp(offset) @ profile.T)[batch.argmax(1)], cluster.argmax(1)[:, None], 1
    )
    mean_squares = (batch.T @ each**2) @ profile**2 * np.exp(2 * offset)
    fitted = expected * np.exp(offset)
    variance = np.maximum(squares - mean_squares, fitted) + PSEUDO
    noise = variance / (fitted + PSEUDO) ** 2
    weight = expected / expected.sum(0).clip(1e-12)
    return LogLinear(offset, profile, expected, noise * (1 - weight), rounds)


def _centred(offset: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Zero on average over batches, weighted by molecules, and over genes."""
    weight = expected / expected.sum(0).clip(1e-12)
    offset = offset - (weight * offset).sum(0)
    share = np.sqrt(expected)
    return offset - (share * offset).sum(1, keepdims=True) / share.sum(1, keepdims=True).clip(1e-12)


def shrink_offsets(fit: LogLinear, *, inflate: float = 10.0, rounds: int = 50) -> np.ndarray:
    r"""Offsets ``(batches, genes)`` as :math:`o\,\frac{c \tau^2}{c \tau^2 + v}` with their variance :math:`v`.

    :math:`\tau^2` is the variance of a batch's offsets beyond their noise, by moments. Posterior means (:math:`c = 1`)
    would make a known shift too small wherever noise is not small; a batch without effect has zeros all the same.

    Parameters
    ----------
    fit
        Offsets and their noise.
    inflate
        The factor :math:`c`.
    rounds
        Rounds of the moment estimate, whose weights depend on it.
    """
    out = np.zeros_like(fit.offset)
    for b in range(len(out)):
        o, v = fit.offset[b], fit.noise[b].clip(1e-9)
        measured = fit.expected[b] > MEASURED
        if measured.sum() < 2:
            continue
        tau = 0.1
        for _ in range(rounds):
            weight = 1.0 / (tau + v[measured]) ** 2
            tau = max(float(weight @ (o[measured] ** 2 - v[measured]) / weight.sum()), 0.0)
        out[b] = o * inflate * tau / (inflate * tau + v)
    return out
