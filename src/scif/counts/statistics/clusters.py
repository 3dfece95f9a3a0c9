"""Groups of cells by k-means, the same on any number of threads."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

__all__ = ["k_means"]


def k_means(points: np.ndarray, count: int) -> np.ndarray:
    """Group of each of the points ``(n, k)``, ``(n,)``.

    On more than two threads sums over points are made in the order in which threads are ready; these sums are small.
    """
    count = min(count, len(np.unique(points, axis=0)))
    with threadpool_limits(1):
        labels: np.ndarray = KMeans(count, n_init=1, random_state=0).fit_predict(points)
    return labels
