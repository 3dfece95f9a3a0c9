"""Do known labels stand out? ARI and NMI of Leiden clusters and silhouette on the denoised PCA, by scib-metrics."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
from benchmarks.counts.task import Task

__all__ = ["labels"]

_COMPONENTS = 50
_NEIGHBOURS = 15
_LARGE = 50_000_000


def labels(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Best Leiden resolution, 15 neighbours, 50 components of log-normalised counts; nothing without scib-metrics."""
    if task.labels is None or denoised.size > _LARGE or find_spec("scib_metrics") is None:
        return {}
    import scib_metrics
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    values = np.log1p(denoised * (1e4 / np.maximum(denoised.sum(axis=1, keepdims=True), 1e-12)))
    components = min(_COMPONENTS, min(values.shape) - 1)
    embedding = PCA(components, svd_solver="randomized", random_state=0).fit_transform(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distances, indices = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(embedding).kneighbors(embedding)
        neighbours = NeighborsResults(indices=indices, distances=distances)
        found = scib_metrics.nmi_ari_cluster_labels_leiden(neighbours, task.labels)
        width = scib_metrics.silhouette_label(embedding, task.labels)
    return {"ari": found["ari"], "nmi": found["nmi"], "silhouette": width}
