"""Observed against denoised counts: an embedding of each, coloured by cell type and by marker genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.pl._canvas import Canvas
from scif.pl._style import EXPRESSION, bare, category_colours, legend_columns, shortened, style
from scif.pl._values import as_genes, is_numeric, log_normalised, matrix

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap

__all__ = ["denoising"]

_HEIGHT = 4.4


def denoising(
    adata: AnnData,
    genes: str | Sequence[str] = (),
    *,
    color: str | None = None,
    layer: str = "denoised",
    observed_layer: str | None = None,
    basis: str | tuple[str, str] = "umap",
    seed: int = 0,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot observed cells above denoised cells, each on its own embedding or on one that you choose.

    Both are scaled to 10,000 per cell, ``log1p``-transformed and embedded in the same way (principal components,
    then optionally UMAP). A gene has one colour scale in both rows. The AnnData is not changed.

    Parameters
    ----------
    adata
        Cells with observed and denoised counts.
    genes
        Gene or genes to show, one column each, next to the cell types.
    color
        Column of ``obs``. Labels get a legend, with the colours of ``uns[f"{color}_colors"]`` if they exist; numbers
        get a colour bar.
    layer
        Layer with denoised counts.
    observed_layer
        Layer with observed counts; default ``X``.
    basis
        ``"umap"``, or ``"pca"`` for the first two principal components; both are computed for each row. Or a key of
        ``obsm``, such as ``"X_umap"``, for both rows, or two keys.
    seed
        Seed of the embedding.
    show
        Show the figure now; default True, unless ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.

    Returns
    -------
    None; or the axes, ``(2, columns)``, if ``show=False``; or the figure, if ``return_fig=True``.

    Raises
    ------
    ValueError
        If a gene, column, layer or basis is missing.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.pl import denoising
    >>> adata = pbmc68k_counts()
    >>> adata.layers["low rank"] = truncated_svd(adata.X, 10)
    >>> axes = denoising(adata, "LYZ", color="bulk_labels", layer="low rank", basis="pca", show=False)
    >>> [ax.get_title() for ax in axes.ravel()]
    ['bulk_labels', 'LYZ', '', '']
    """
    chosen = as_genes(adata, genes)
    rows = {"observed": observed_layer, layer: layer}
    bases = dict(zip(rows, (basis, basis) if isinstance(basis, str) else basis, strict=True))
    values = {name: log_normalised(adata, source, chosen) for name, source in rows.items()}
    positions = {name: _positions(adata, source, bases[name], seed) for name, source in rows.items()}
    labels = 0 if color is None or is_numeric(adata, color) else adata.obs[color].nunique()
    with style():
        width = 2.1 * (1 + len(chosen)) + 0.5 + (1.5 * legend_columns(labels, _HEIGHT) if labels else 0.0)
        canvas = Canvas((width, _HEIGHT), show=show, save=save, return_fig=return_fig, layout="compressed")
        canvas.figure.set_layout_engine("compressed", w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
        axes = canvas.figure.subplots(2, 1 + len(chosen), squeeze=False)
        for row, name in zip(axes, rows, strict=True):
            for ax in row:
                bare(ax)
            row[0].set_ylabel(name, fontsize=10, labelpad=6)
            coloured = _scatter_color(row[0], positions[name], adata, color)
            for i, ax in enumerate(row[1:]):
                limit = max(float(v[:, i].max()) for v in values.values())
                points = _scatter_value(ax, positions[name], values[name][:, i], (0.0, max(limit, 1e-9)))
        for ax, title in zip(axes[0], [color or "cells", *chosen], strict=True):
            ax.set_title(title, fontstyle="italic" if title in chosen else "normal")
        if labels:
            _legend(canvas, axes[0, 0], labels)
        elif coloured is not None:
            canvas.figure.colorbar(coloured, ax=axes[:, 0], shrink=0.35, aspect=16, location="left", label=color)
        if chosen:
            bar = canvas.figure.colorbar(points, ax=axes[:, -1], shrink=0.35, aspect=16, ticks=[])
            bar.outline.set_visible(False)
            bar.set_label("log expression, low to high")
        return canvas.finish(axes)


def _positions(adata: AnnData, layer: str | None, basis: str, seed: int) -> np.ndarray:
    """Two coordinates per cell."""
    if basis in adata.obsm:
        return np.asarray(adata.obsm[basis])[:, :2]
    if basis not in ("umap", "pca"):
        msg = f"basis is {basis!r}; choose 'umap', 'pca' or a key of adata.obsm: {list(adata.obsm)}."
        raise ValueError(msg)
    import scanpy as sc
    from anndata import AnnData

    work = AnnData(matrix(adata, layer).astype(np.float32))
    sc.pp.normalize_total(work, target_sum=1e4)
    sc.pp.log1p(work)
    work.X = work.X.toarray() if hasattr(work.X, "toarray") else work.X
    sc.pp.pca(work, n_comps=min(30, min(work.shape) - 1), random_state=seed)
    if basis == "umap":
        sc.pp.neighbors(work, random_state=seed)
        sc.tl.umap(work, random_state=seed)
    return work.obsm[f"X_{basis}"][:, :2]


def _point_size(n: int) -> float:
    return float(np.clip(6000 / n, 0.5, 12))


def _scatter_color(ax: Axes, position: np.ndarray, adata: AnnData, color: str | None) -> PathCollection | None:
    size = _point_size(adata.n_obs)
    if color is None:
        ax.scatter(position[:, 0], position[:, 1], s=size, c="#777788", linewidths=0, rasterized=True)
        return None
    if is_numeric(adata, color):
        values = adata.obs[color].to_numpy(dtype=np.float64)
        return _scatter_value(ax, position, values, (np.nanmin(values), np.nanmax(values)), cmap="viridis")
    labels = adata.obs[color].astype("category")
    stored = adata.uns.get(f"{color}_colors")
    for name, colour in category_colours(labels, None if stored is None else list(stored)).items():
        mine = (labels == name).to_numpy()
        x, y = position[mine].T
        ax.scatter(x, y, s=size, c=colour, linewidths=0, label=shortened(name), rasterized=True)
    return None


def _scatter_value(
    ax: Axes, position: np.ndarray, value: np.ndarray, limits: tuple[float, float], *, cmap: str | Colormap = EXPRESSION
) -> PathCollection:
    order = np.argsort(value, kind="stable")  # high values on top
    low, high = limits
    x, y = position[order].T
    size = _point_size(len(value))
    return ax.scatter(x, y, s=size, c=value[order], cmap=cmap, vmin=low, vmax=high, linewidths=0, rasterized=True)


def _legend(canvas: Canvas, ax: Axes, n: int) -> None:
    handles, names = ax.get_legend_handles_labels()
    canvas.figure.legend(
        handles,
        names,
        loc="outside left center",
        ncols=legend_columns(n, _HEIGHT),
        markerscale=2.5,
        handletextpad=0.1,
        columnspacing=0.8,
        labelspacing=0.5,
        fontsize=7,
    )
