"""kNN-smoothing (Wagner, Yan & Yanai, bioRxiv 2018), written from the paper's algorithm.

Neighbours are found step by step: at step ``s`` each cell is replaced by the sum of its ``2**s - 1`` nearest cells' raw
counts, nearest in the first principal components of the Freeman-Tukey transform of the counts smoothed so far.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances

__all__ = ["fit"]


def fit(counts: sp.csr_matrix, *, seed: int, neighbours: int = 15, components: int = 10) -> Callable[[], np.ndarray]:
    """Sum each cell with its nearest neighbours and bring the sum back to the cell's own library size."""
    counts = counts.astype(np.float64)
    neighbours = min(neighbours, counts.shape[0] - 1)
    smoothed = counts
    for step in range(1, int(np.ceil(np.log2(neighbours + 1))) + 1):
        size = min(2**step - 1, neighbours)
        nearest = np.argpartition(pairwise_distances(_scores(smoothed, components, seed)), size, axis=1)[:, : size + 1]
        rows = np.repeat(np.arange(counts.shape[0]), nearest.shape[1])
        adjacency = sp.csr_matrix((np.ones(rows.size), (rows, nearest.ravel())), shape=(counts.shape[0],) * 2)
        smoothed = adjacency @ counts
    return lambda: to_library(smoothed.toarray(), library_size(counts))


def _scores(counts: sp.csr_matrix, components: int, seed: int) -> np.ndarray:
    """Principal components of the Freeman-Tukey transform of the counts at median depth."""
    library = library_size(counts)
    normalised = counts.multiply(np.median(library) / library).toarray()
    transformed = np.sqrt(normalised) + np.sqrt(normalised + 1.0)
    return PCA(min(components, *counts.shape), svd_solver="randomized", random_state=seed).fit_transform(transformed)
