"""Observed against denoised counts: an embedding of each, coloured by cell type and by marker genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from scif.pl._style import EXPRESSION, bare, category_colours, style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["denoising"]


def denoising(
    adata: AnnData,
    genes: Sequence[str] = (),
    *,
    color: str | None = None,
    layer: str = "denoised",
    observed_layer: str | None = None,
    basis: Literal["umap", "pca"] = "umap",
    seed: int = 0,
) -> Figure:
    """Draw observed counts above denoised ones, each on its own embedding.

    Both are scaled to 10,000 per cell, ``log1p``-transformed and embedded in the same way (principal components,
    then optionally UMAP). A gene has one colour scale in both rows. The AnnData is not changed.

    Parameters
    ----------
    adata
        Cells with observed and denoised counts.
    genes
        Genes to show beside the cell types, as many columns.
    color
        Column of ``obs`` with cell types or other labels; colours in ``uns[f"{color}_colors"]`` are used.
    layer
        Layer with denoised counts.
    observed_layer
        Layer with observed counts; ``X`` if not given.
    basis
        ``"umap"``, or ``"pca"`` for the first two principal components.
    seed
        Seed of the embedding.

    Returns
    -------
    The figure; save it with ``figure.savefig(...)``.

    Raises
    ------
    ValueError
        If a gene, label or layer is missing.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.pl import denoising
    >>> adata = pbmc68k_counts()
    >>> adata.layers["low rank"] = truncated_svd(adata.X, 10)
    >>> figure = denoising(adata, ["LYZ"], color="bulk_labels", layer="low rank", basis="pca")
    >>> [ax.get_title() for ax in figure.axes[:4]]
    ['bulk_labels', 'LYZ', '', '']
    """
    from matplotlib.figure import Figure

    _check(adata, genes, color, [name for name in (layer, observed_layer) if name is not None])
    sources = {"observed": observed_layer, layer: layer}
    normalised = {name: _log_normalised(adata, source) for name, source in sources.items()}
    columns = 1 + len(genes)
    with style():
        legend = 1.3 if color is not None else 0.0
        figure = Figure(figsize=(2.1 * columns + 0.5 + legend, 4.4))
        figure.set_layout_engine("compressed", w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
        axes = figure.subplots(2, columns, squeeze=False)
        for row, (name, values) in zip(axes, normalised.items(), strict=True):
            position = _embed(values, basis, seed)
            for ax in row:
                bare(ax)
            row[0].set_ylabel(name, fontsize=10, labelpad=6)
            _scatter_labels(row[0], position, adata, color)
            for ax, gene in zip(row[1:], genes, strict=True):
                limit = max(float(v[:, gene].X.max()) for v in normalised.values())
                points = _scatter_gene(ax, position, np.asarray(values[:, gene].X).ravel(), limit)
        for ax, title in zip(axes[0], [color or "cells", *genes], strict=True):
            ax.set_title(title, fontstyle="italic" if title in genes else "normal")
        if color is not None:
            _legend(figure, axes[0, 0])
        if len(genes):
            bar = figure.colorbar(points, ax=axes[:, -1], shrink=0.35, aspect=16, ticks=[])
            bar.outline.set_visible(False)
            bar.set_label("log expression, low to high")
    return figure


def _check(adata: AnnData, genes: Sequence[str], color: str | None, layers: Sequence[str]) -> None:
    absent = [gene for gene in genes if gene not in adata.var_names]
    if absent:
        msg = f"genes {absent} are not in adata.var_names; pass names of genes of this AnnData."
        raise ValueError(msg)
    if color is not None and color not in adata.obs:
        msg = f"color is {color!r}, which is not a column of adata.obs; choose one of {list(adata.obs.columns)}."
        raise ValueError(msg)
    for layer in layers:
        if layer not in adata.layers:
            msg = f"there is no layer {layer!r}; first run adata.layers[{layer!r}] = model.get_denoised()."
            raise ValueError(msg)


def _log_normalised(adata: AnnData, layer: str | None) -> AnnData:
    import scanpy as sc
    from anndata import AnnData

    X = adata.X if layer is None else adata.layers[layer]
    values = AnnData(X.astype(np.float32), var=adata.var[[]])
    sc.pp.normalize_total(values, target_sum=1e4)
    sc.pp.log1p(values)
    values.X = values.X.toarray() if hasattr(values.X, "toarray") else values.X
    return values


def _embed(values: AnnData, basis: str, seed: int) -> np.ndarray:
    """Two coordinates per cell."""
    import scanpy as sc

    work = values.copy()
    sc.pp.pca(work, n_comps=min(30, min(work.shape) - 1), random_state=seed)
    if basis == "umap":
        sc.pp.neighbors(work, random_state=seed)
        sc.tl.umap(work, random_state=seed)
    return work.obsm[f"X_{basis}"][:, :2]


def _point_size(n: int) -> float:
    return float(np.clip(6000 / n, 0.5, 12))


def _scatter_labels(ax: Axes, position: np.ndarray, adata: AnnData, color: str | None) -> None:
    size = _point_size(adata.n_obs)
    if color is None:
        x, y = position.T
        ax.scatter(x, y, s=size, c="#777788", linewidths=0, rasterized=True)
        return
    labels = adata.obs[color].astype("category")
    stored = adata.uns.get(f"{color}_colors")
    for name, colour in category_colours(labels, None if stored is None else list(stored)).items():
        mine = (labels == name).to_numpy()
        x, y = position[mine].T
        ax.scatter(x, y, s=size, c=colour, linewidths=0, label=str(name), rasterized=True)


def _scatter_gene(ax: Axes, position: np.ndarray, value: np.ndarray, limit: float) -> PathCollection:
    order = np.argsort(value, kind="stable")  # high values on top
    x, y = position[order].T
    return ax.scatter(
        x,
        y,
        s=_point_size(len(value)),
        c=value[order],
        cmap=EXPRESSION,
        vmin=0.0,
        vmax=max(limit, 1e-9),
        linewidths=0,
        rasterized=True,
    )


def _legend(figure: Figure, ax: Axes) -> None:
    handles, names = ax.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside left center", markerscale=2.5, handletextpad=0.1, labelspacing=0.5, fontsize=7
    )
