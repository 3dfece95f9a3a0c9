"""Order of cells along differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from scif.metrics._embedding import cell_embedding, neighbour_graph
from scif.metrics._groups import as_labels

__all__ = ["diffusion_pseudotime", "pseudotime_correlation"]


def pseudotime_correlation(pseudotime: Any, time: Any, *, lineages: Any = None) -> float:
    """Spearman correlation of estimated and true time, averaged over lineages; 1 is ideal.

    Cells that no path reaches (infinite pseudotime) are ranked last.

    Parameters
    ----------
    pseudotime
        Estimated time, one per cell.
    time
        True time, one per cell.
    lineages
        One label per cell; correlations are computed within each and averaged.

    Raises
    ------
    ValueError
        If sizes differ, a time is missing, or a lineage has fewer than three cells.

    Examples
    --------
    >>> from scif.metrics import pseudotime_correlation
    >>> pseudotime_correlation([0.1, 0.4, 0.2, float("inf")], [0, 2, 1, 3])
    1.0
    """
    estimated, true = np.asarray(pseudotime, dtype=np.float64), np.asarray(time, dtype=np.float64)
    if estimated.ndim != 1 or estimated.shape != true.shape or np.isnan(estimated).any() or not np.isfinite(true).all():
        msg = f"pseudotime has shape {estimated.shape} and time {true.shape}; pass one number per cell, none missing."
        raise ValueError(msg)
    groups = np.zeros(estimated.size) if lineages is None else as_labels(lineages, estimated.size, name="lineages")
    found = []
    for lineage in np.unique(groups):
        cells = groups == lineage
        if cells.sum() < 3:
            msg = f"lineage {lineage!r} has {int(cells.sum())} cells; a correlation needs three."
            raise ValueError(msg)
        constant = np.ptp(np.nan_to_num(estimated[cells])) == 0 or np.ptp(true[cells]) == 0
        found.append(0.0 if constant else float(spearmanr(estimated[cells], true[cells]).statistic))
    return float(np.mean(found))


def diffusion_pseudotime(
    X: Any,
    root: int,
    *,
    embedding: bool = False,
    n_components: int = 50,
    n_neighbors: int = 15,
    seed: int = 0,
) -> np.ndarray:
    """Diffusion pseudotime of cells by scanpy, from counts or from coordinates.

    Parameters
    ----------
    X
        Observed or denoised counts, cells x genes; or coordinates of cells, ``(cells, components)``.
    root
        Row of the root cell.
    embedding
        Treat ``X`` as coordinates, such as latent factors, and use them unchanged.
    n_components
        Principal components of counts.
    n_neighbors
        Neighbours in the graph.
    seed
        Seed of the components and the graph.

    Returns
    -------
    One value per cell, from 0 at the root; infinite where the graph has no path to the root.

    Raises
    ------
    ValueError
        If ``root`` is not a row.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import diffusion_pseudotime, pseudotime_correlation
    >>> time = np.linspace(0, 1, 200)
    >>> line = np.stack([time, time**2], axis=1)
    >>> pseudotime_correlation(diffusion_pseudotime(line, 0, embedding=True), time) > 0.99
    True
    """
    cells = np.shape(X)[0]
    if not 0 <= root < cells:
        msg = f"root is {root}; it is the row of one of the {cells} cells."
        raise ValueError(msg)
    coordinates = cell_embedding(X, embedding=embedding, n_components=n_components, seed=seed)
    graph = neighbour_graph(coordinates, n_neighbors=n_neighbors, seed=seed)
    import scanpy as sc

    sc.tl.diffmap(graph, n_comps=min(15, cells - 2), random_state=seed)
    graph.uns["iroot"] = root
    sc.tl.dpt(graph)
    return graph.obs["dpt_pseudotime"].to_numpy(dtype=np.float64)
