"""What differs between batches among cells of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from scif.counts.statistics.clusters import k_means

__all__ = ["BatchStart", "batch_start"]

#: Molecules of the pooled profile added to each profile, per gene with average expression.
PSEUDO = 20.0


@dataclass(frozen=True)
class BatchStart:
    """Where batches start.

    Attributes
    ----------
    shift
        Shift of the scores of each batch, ``(batches, k)``.
    offset
        Difference of log-rates of each batch from the average, ``(batches, genes)``.
    """

    shift: Tensor
    offset: Tensor


def batch_start(x: sparse.csr_matrix, scores: np.ndarray, codes: np.ndarray, num_batches: int) -> BatchStart:
    """Differences between batches within clusters of cells, averaged over the clusters a batch shares with others.

    A batch with other kinds of cells must not look like a batch effect, as it would if whole batches were compared.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    scores
        Their SVD scores ``(cells, k)``.
    codes
        Their batches ``(cells,)``.
    num_batches
        Number of batches.
    """
    clusters = int(np.clip(len(scores) // 50, 1, 20))
    labels = k_means(scores, clusters)
    shift = np.zeros((num_batches, scores.shape[1]))
    offset = np.zeros((num_batches, x.shape[1]))
    weight = np.zeros((num_batches, 1))
    pooled = np.asarray(x.sum(0)).ravel() / x.sum()
    prior = PSEUDO * len(pooled) * pooled
    for cluster in range(clusters):
        rows = [np.flatnonzero((labels == cluster) & (codes == b)) for b in range(num_batches)]
        present = [b for b in range(num_batches) if len(rows[b]) >= 5]
        if len(present) < 2:
            continue
        means = {b: scores[rows[b]].mean(0) for b in present}
        counts = {b: np.asarray(x[rows[b]].sum(0)).ravel() for b in present}
        logs = {b: np.log((c + prior + 1e-9) / (c + prior).sum()) for b, c in counts.items()}
        for b in present:
            size = np.sqrt(len(rows[b]))
            weight[b] += size
            shift[b] += size * (means[b] - np.mean(list(means.values()), axis=0))
            offset[b] += size * (logs[b] - np.mean(list(logs.values()), axis=0))
    weight = weight.clip(1e-9)
    return BatchStart(torch.from_numpy(shift / weight).float(), torch.from_numpy(offset / weight).float())
