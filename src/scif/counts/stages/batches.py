"""Offsets of batches per gene, found before training among cells of the same kind, whichever batch they are in."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from scif.counts.data.offsets import without_offsets
from scif.counts.statistics.clusters import k_means
from scif.counts.statistics.log_linear import LogLinear, fit_log_linear, shrink_offsets
from scif.counts.statistics.normalise import log_normalise, totals

__all__ = ["BatchOffsets", "fit_batches", "reference_profile", "start_rows"]

#: Cells of a batch and cluster from which on the two are compared.
ENOUGH = 5
#: Share of a batch's cells in clusters with cells of others, below which a warning says that it is apart. In
#: simulations batches with the same types have 0.90 and more, batches without a common type mostly 0 to 0.55.
SHARED = 0.6
#: Cells of each batch, at the least, from which offsets are found if it has so many.
LEAST = 300


@dataclass(frozen=True)
class BatchOffsets:
    """Offsets of batches.

    Attributes
    ----------
    offset
        What each batch adds to the log-rates of its cells, ``(batches, genes)``; zero on average over the batches,
        weighted by molecules.
    shared
        Share of the cells of each batch in clusters that hold cells of other batches, too, ``(batches,)``; NaN for a
        batch without cells. Low: the batch shares few cell types with the others, so that biology and offset cannot
        be told apart. Batches with a single cell type each look alike whatever these types are: no number tells.
    present
        Whether the batch has cells, ``(batches,)``.
    rounds
        Times that cells were clustered.
    """

    offset: np.ndarray
    shared: np.ndarray
    present: np.ndarray
    rounds: int

    def warn(self, names: Sequence[object]) -> None:
        """Warn about batches whose offsets cannot be told from biology."""
        alone = [str(name) for name, low in zip(names, self.shared < SHARED, strict=True) if low]
        if alone:
            warnings.warn(
                f"Batches {', '.join(map(repr, alone))} share few or no cell types with the others: most of their "
                "cells are in separate clusters. Batch effect and biology cannot be distinguished there; "
                "transform_batch may remove too much or too little.",
                UserWarning,
                stacklevel=3,
            )


def fit_batches(
    x: sparse.csr_matrix,
    batch: np.ndarray,
    *,
    num_batches: int,
    rng: np.random.Generator,
    width: int = 20,
    max_clusters: int = 20,
    cells_per_cluster: int = 50,
    max_rounds: int = 20,
    tolerance: float = 0.005,
    restarts: int = 1,
) -> BatchOffsets:
    r"""Fit :math:`x_{ng} \sim \mathrm{Poisson}(L_n\,p_{c(n) g} \exp(o_{b(n) g}) / Z)` with clusters ``c`` of cells.

    Clusters are shared by all batches: cells move to the cluster of greatest likelihood given the offsets, and offsets
    are fitted given the clusters, in turns. There are two starts, clusters of SVD scores with and without the mean of
    each batch; the fit of greater likelihood is kept. Batches need not mix in the scores, nor have the same shares of
    cell types.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    batch
        Batches of the cells ``(cells,)``.
    num_batches
        Number of batches, some of which may have no cells.
    rng
        Source of randomness.
    width
        Number of SVD components.
    max_clusters, cells_per_cluster
        Most clusters, and cells for each of them.
    max_rounds, tolerance
        Rounds end when less than this share of the cells move to another cluster.
    """
    cells = np.bincount(batch, minlength=num_batches)
    present = cells > 0
    shape = (num_batches, x.shape[1])
    if present.sum() < 2:
        return BatchOffsets(np.zeros(shape), np.where(present, 1.0, np.nan), present, 0)
    member = np.eye(num_batches)[batch]
    seed = int(rng.integers(2**31))
    clusters = int(np.clip(len(batch) // cells_per_cluster, 1, max_clusters))
    scores = _scores(x, width, seed)
    means = (member.T @ scores) / cells.clip(1)[:, None]

    def fitted(start: np.ndarray) -> _Fit:
        return _alternate(x, batch, member, k_means(start, clusters), max_rounds=max_rounds, tolerance=tolerance)

    best = max((fitted(start) for start in (scores - means[batch], scores)), key=lambda fit: fit.likelihood)
    for again in range(restarts):
        other = fitted(_scores(without_offsets(x, batch, best.model.offset), width, seed + 1 + again))
        if other.likelihood <= best.likelihood:
            break
        best = other
    shared = _shared(batch, best.labels, num_batches)
    return BatchOffsets(shrink_offsets(best.model), shared, present, best.rounds)


@dataclass(frozen=True)
class _Fit:
    """Clusters and the offsets given them."""

    model: LogLinear
    labels: np.ndarray
    likelihood: float
    rounds: int


def _alternate(
    x: sparse.csr_matrix,
    batch: np.ndarray,
    member: np.ndarray,
    labels: np.ndarray,
    *,
    max_rounds: int,
    tolerance: float,
) -> _Fit:
    """Fit offsets given clusters and assign cells to clusters given offsets, in turns."""
    clusters, rounds, moved = labels.max() + 1, 0, 1.0
    while moved >= tolerance and rounds < max_rounds:
        model = fit_log_linear(x, member, np.eye(clusters)[labels])
        before, (labels, likelihood) = labels, model.assign(x, batch)
        moved, rounds = float((labels != before).mean()), rounds + 1
    return _Fit(model, labels, likelihood, rounds)


def _shared(batch: np.ndarray, labels: np.ndarray, num_batches: int) -> np.ndarray:
    """See ``BatchOffsets``."""
    cells = np.zeros((num_batches, int(labels.max()) + 1))
    np.add.at(cells, (batch, labels), 1.0)
    both = (cells >= ENOUGH) & (cells.sum(0) - cells >= ENOUGH)
    size = cells.sum(1)
    return np.where(size > 0, (cells * both).sum(1) / size.clip(1.0), np.nan)


def _scores(x: sparse.csr_matrix, width: int, seed: int) -> np.ndarray:
    width = max(1, min(width, min(x.shape) - 1))
    values = log_normalise(x, float(np.median(totals(x))))
    left, singular, _ = randomized_svd(values, width, n_iter=3, random_state=seed)
    scores: np.ndarray = left * singular
    return scores


def start_rows(order: np.ndarray, most: int, batch: np.ndarray | None) -> np.ndarray:
    """The first cells of a random order, sorted, and more of batches that would have few."""
    rows = order[:most]
    if batch is not None and len(order) > most:
        rare = [order[batch[order] == code][:LEAST] for code in np.unique(batch)]
        rows = np.unique(np.concatenate([rows, *rare]))
    return np.sort(rows)


def reference_profile(by_batch: np.ndarray, offset: np.ndarray, *, rounds: int = 20) -> np.ndarray:
    """Composition of the average batch with which the genes' totals over all batches are what they are, ``(genes,)``.

    Parameters
    ----------
    by_batch
        Counts of each gene over the cells of each batch, ``(batches, genes)``; later batches may be left out.
    offset
        What each batch adds to the log-rates, ``(batches, genes)``.
    rounds
        Rounds of proportional fitting; it converges within a few.
    """
    factor, every, size = np.exp(offset[: len(by_batch)]), by_batch.sum(0), by_batch.sum(1)
    profile: np.ndarray = every / every.sum()
    for _ in range(rounds):
        profile = every / ((size / (factor @ profile)) @ factor)
        profile /= profile.sum()
    return profile
