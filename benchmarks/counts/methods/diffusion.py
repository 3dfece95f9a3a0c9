"""MAGIC's estimator (van Dijk et al., Cell 2018) on the graph of graphtools, so that its settings can be chosen.

MAGIC itself builds this graph: 100 principal components, an adaptive kernel to the ``knn``-th neighbour cut at three
times as many. The normalisation is that of ``magic.py``: one molecule a cell before the logarithm.
"""

from __future__ import annotations

from collections.abc import Callable

import graphtools
import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library

__all__ = ["fit"]

_COMPONENTS = 100  # MAGIC's default


def fit(counts: sp.csr_matrix, *, seed: int, neighbours: int = 5, steps: int = 3) -> Callable[[], np.ndarray]:
    """Build the diffusion operator from ``neighbours``; the values are diffused ``steps`` times when asked for."""
    library = library_size(counts)
    logged = np.log1p(counts.multiply(1.0 / library).toarray())
    neighbours = min(neighbours, (counts.shape[0] - 1) // 3)
    graph = graphtools.Graph(
        logged,
        n_pca=min(_COMPONENTS, min(counts.shape) - 1),
        knn=neighbours,
        knn_max=3 * neighbours,
        decay=1,
        thresh=1e-4,
        random_state=seed,
        verbose=0,
    )

    def denoise() -> np.ndarray:
        values = logged
        for _ in range(steps):
            values = graph.diff_op @ values
        return to_library(np.expm1(np.asarray(values)), library)

    return denoise
