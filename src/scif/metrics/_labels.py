"""Do known labels stand out? Leiden clusters over resolutions, silhouette and nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scif._extras import require
from scif.metrics._embedding import cell_embedding, neighbour_graph
from scif.metrics._groups import as_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelAgreement", "label_agreement", "neighbour_agreement"]

_RESOLUTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)


@dataclass(frozen=True)
class LabelAgreement:
    """Agreement of clusters with labels; see :func:`label_agreement`.

    Attributes
    ----------
    resolutions
        Resolutions of the clustering.
    ari
        Adjusted Rand index at each resolution.
    nmi
        Normalised mutual information at each resolution.
    n_clusters
        Number of clusters at each resolution.
    silhouette
        Mean silhouette width of the labels, in [-1, 1].
    neighbours
        Mean fraction of a cell's nearest neighbours with the same label, see :func:`neighbour_agreement`.
    """

    resolutions: tuple[float, ...]
    ari: np.ndarray
    nmi: np.ndarray
    n_clusters: np.ndarray
    silhouette: float
    neighbours: float

    @property
    def best_ari(self) -> float:
        """Highest adjusted Rand index over all resolutions. Choosing this resolution needs the labels."""
        return float(self.ari.max())

    def ari_at(self, resolution: float = 1.0) -> float:
        """Adjusted Rand index at a resolution; 1 is the default of scanpy.

        Parameters
        ----------
        resolution
            One of the computed resolutions.

        Raises
        ------
        ValueError
            If this resolution was not computed.
        """
        if resolution not in self.resolutions:
            msg = f"resolution is {resolution:g}; choose one of {self.resolutions}."
            raise ValueError(msg)
        return float(self.ari[self.resolutions.index(resolution)])

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per resolution: ``ari``, ``nmi`` and ``n_clusters``."""
        import pandas as pd

        columns = {"ari": self.ari, "nmi": self.nmi, "n_clusters": self.n_clusters}
        return pd.DataFrame(columns, index=pd.Index(self.resolutions, name="resolution"))


def label_agreement(
    X: Any,
    labels: Any,
    *,
    embedding: bool = False,
    resolutions: Sequence[float] = _RESOLUTIONS,
    n_components: int = 50,
    n_neighbors: int = 15,
    seed: int = 0,
) -> LabelAgreement:
    """Cluster cells at several resolutions, and compare clusters, distances and neighbours with known labels.

    The steps are the defaults of scanpy: ``log1p`` of 10,000-normalised counts, principal components, a
    nearest-neighbour graph, and Leiden clustering by modularity.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes; or coordinates of cells, ``(cells, components)``.
    labels
        One known label per cell.
    embedding
        Treat ``X`` as coordinates, such as latent factors, and use them unchanged.
    resolutions
        Resolutions of the clustering.
    n_components
        Principal components of counts.
    n_neighbors
        Number of neighbours in the graph and in :func:`neighbour_agreement`.
    seed
        Seed of the components and the clustering.

    Raises
    ------
    ValueError
        If there are fewer than two labels, or labels do not fit.
    ImportError
        If igraph (extra ``plot``) is not installed.

    Examples
    --------
    >>> from scif.datasets import simulate_counts
    >>> from scif.metrics import label_agreement
    >>> cells = simulate_counts(300, 200, depth=5000, seed=0)
    >>> agreement = label_agreement(cells.X, cells.obs["cell_type"], resolutions=(0.5, 1.0))
    >>> bool(0.4 < agreement.ari_at(1.0) <= agreement.best_ari)
    True
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

    types = as_labels(labels, np.shape(X)[0]).astype(str)
    if not 2 <= np.unique(types).size < types.size:
        msg = f"labels has {np.unique(types).size} values for {types.size} cells; agreement needs two or more groups."
        raise ValueError(msg)
    coordinates = cell_embedding(X, embedding=embedding, n_components=n_components, seed=seed)
    clusters = _leiden(coordinates, resolutions, n_neighbors, seed)
    return LabelAgreement(
        tuple(float(r) for r in resolutions),
        np.array([adjusted_rand_score(types, found) for found in clusters]),
        np.array([normalized_mutual_info_score(types, found) for found in clusters]),
        np.array([np.unique(found).size for found in clusters]),
        float(silhouette_score(coordinates, types)),
        float(neighbour_agreement(coordinates, types, n_neighbors=n_neighbors).mean()),
    )


def neighbour_agreement(coordinates: Any, labels: Any, *, n_neighbors: int = 15) -> np.ndarray:
    """Fraction of each cell's nearest neighbours that have the same label.

    If a label has fewer cells than neighbours, only as many neighbours are used as there are other cells with this
    label.

    Parameters
    ----------
    coordinates
        Coordinates of cells, ``(cells, components)``.
    labels
        One label per cell.
    n_neighbors
        Number of neighbours, not counting the cell itself.

    Returns
    -------
    One fraction per cell; zero for the only cell of a label.

    Examples
    --------
    >>> from scif.metrics import neighbour_agreement
    >>> neighbour_agreement([[0.0], [0.1], [5.0], [5.2]], ["a", "a", "b", "a"]).tolist()
    [0.5, 0.5, 0.0, 0.5]
    """
    from sklearn.neighbors import NearestNeighbors

    coordinates = np.asarray(coordinates, dtype=np.float64)
    types = as_labels(labels, len(coordinates)).astype(str)
    n = min(n_neighbors, len(coordinates) - 1)
    nearest = NearestNeighbors(n_neighbors=n).fit(coordinates).kneighbors(return_distance=False)
    same = types[nearest] == types[:, None]
    _, inverse, sizes = np.unique(types, return_inverse=True, return_counts=True)
    limit = np.minimum(sizes[inverse] - 1, n)
    hits = np.where(np.arange(n) < limit[:, None], same, False).sum(axis=1)
    return hits / np.maximum(limit, 1)


def _leiden(coordinates: np.ndarray, resolutions: Sequence[float], n_neighbors: int, seed: int) -> list[np.ndarray]:
    cells = neighbour_graph(coordinates, n_neighbors=n_neighbors, seed=seed)
    require("igraph", extra="plot", purpose="Leiden clustering")
    import scanpy as sc

    found = []
    for resolution in resolutions:
        sc.tl.leiden(cells, resolution=resolution, flavor="igraph", n_iterations=2, directed=False, random_state=seed)
        found.append(cells.obs["leiden"].to_numpy().astype(str))
    return found
