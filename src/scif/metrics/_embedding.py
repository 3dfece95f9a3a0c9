"""Coordinates of cells and their graph of nearest neighbours, in scanpy's default way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics._matrix import check_prediction, normalised

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cell_embedding", "neighbour_graph"]


def cell_embedding(X: Any, *, embedding: bool, n_components: int, seed: int) -> np.ndarray:
    """Principal components of log-normalised counts, or the given coordinates, ``(cells, components)``."""
    if embedding:
        coordinates = np.asarray(X, dtype=np.float64)
        if coordinates.ndim != 2 or not np.isfinite(coordinates).all():
            msg = f"X has shape {coordinates.shape}; with embedding=True pass finite coordinates, cells x components."
            raise ValueError(msg)
        return coordinates
    from sklearn.decomposition import PCA

    values = normalised(check_prediction(X, np.shape(X), name="X"))
    n_components = min(n_components, min(values.shape) - 1)
    return PCA(n_components, svd_solver="randomized", random_state=seed).fit_transform(values)


def neighbour_graph(coordinates: np.ndarray, *, n_neighbors: int, seed: int) -> AnnData:
    """An AnnData with the coordinates and scanpy's graph of nearest neighbours."""
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(np.zeros((len(coordinates), 1), np.float32), obsm={"X_cells": coordinates.astype(np.float32)})
    sc.pp.neighbors(cells, n_neighbors=min(n_neighbors, len(coordinates) - 1), use_rep="X_cells", random_state=seed)
    return cells
