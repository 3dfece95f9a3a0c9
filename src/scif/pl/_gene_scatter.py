"""One gene against another, before and after denoising."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.pl._canvas import Canvas
from scif.pl._style import category_colours, legend_columns, shortened, style
from scif.pl._values import as_genes, groups_of, is_numeric, log_normalised, some_genes

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

__all__ = ["gene_scatter"]


def gene_scatter(
    adata: AnnData,
    x: str,
    y: str | Sequence[str],
    *,
    color: str | None = None,
    layer: str = "denoised",
    observed_layer: str | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot cells by two genes, observed next to denoised, with their Pearson correlation.

    Values are scaled to 10,000 per cell and ``log1p``-transformed. Counts lie on a grid and mostly on the axes; a
    little jitter makes overlapping cells visible.

    Parameters
    ----------
    adata
        Cells with observed and denoised counts.
    x
        Gene on the horizontal axis.
    y
        Gene or genes on the vertical axis, one row each.
    color
        Column of ``obs``; labels get a legend, numbers a colour bar.
    layer
        Layer with denoised counts.
    observed_layer
        Layer with observed counts; default ``X``.
    show
        Show the figure now; default True, unless ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.

    Returns
    -------
    None; or the axes, ``(rows, 2)``, if ``show=False``; or the figure, if ``return_fig=True``.

    Raises
    ------
    ValueError
        If a gene, column or layer is missing.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.pl import gene_scatter
    >>> adata = pbmc68k_counts()
    >>> adata.layers["denoised"] = truncated_svd(adata.X, 10)
    >>> gene_scatter(adata, "CD3D", "CD3E", show=False).shape
    (1, 2)
    """
    others = some_genes(adata, y, name="y")
    genes = [*as_genes(adata, x, name="x"), *others]
    sources = {"observed": observed_layer, layer: layer}
    values = {name: log_normalised(adata, source, genes) for name, source in sources.items()}
    numeric = color is not None and is_numeric(adata, color)
    labels = None if color is None or numeric else groups_of(adata, color)
    height = 2.4 * len(others) + 0.4
    columns = 0 if labels is None else legend_columns(len(labels.cat.categories), height)
    rng = np.random.default_rng(0)
    with style():
        canvas = Canvas((5.0 + 1.5 * columns + 0.7 * numeric, height), show=show, save=save, return_fig=return_fig)
        axes = canvas.figure.subplots(len(others), 2, squeeze=False, sharex=True, sharey="row")
        for column, (name, found) in enumerate(values.items()):
            jitter = 0.04 * rng.standard_normal((len(found), 2)) if column == 0 else 0.0
            for row, gene in enumerate(others):
                ax = axes[row, column]
                points = found[:, [0, row + 1]] + jitter
                drawn = _points(ax, points, adata, color, labels)
                ax.set_title(name if row == 0 else "", fontsize=10)
                correlation = _correlation(found[:, 0], found[:, row + 1])
                ax.text(0.98, 0.98, correlation, transform=ax.transAxes, ha="right", va="top")
                ax.margins(0.06)
                if column == 0:
                    ax.set_ylabel(gene, fontstyle="italic")
                if row == len(others) - 1:
                    ax.set_xlabel(x, fontstyle="italic")
        if labels is not None:
            handles, names = axes[0, 0].get_legend_handles_labels()
            style_of = {"ncols": columns, "markerscale": 2.5, "handletextpad": 0.1, "fontsize": 7}
            canvas.figure.legend(handles, names, loc="outside right center", **style_of)
        elif numeric and drawn is not None:
            canvas.figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=20, label=color)
        return canvas.finish(axes)


def _points(
    ax: Axes, points: np.ndarray, adata: AnnData, color: str | None, labels: pd.Series | None
) -> PathCollection | None:
    """Cells of each label in its colour, or all with their number as colour, which is what a colour bar needs."""
    marks: dict[str, Any] = {"s": 5, "alpha": 0.6, "linewidths": 0, "rasterized": True}
    if labels is None:
        colour = "#555566" if color is None else adata.obs[color].to_numpy(dtype=np.float64)
        return ax.scatter(points[:, 0], points[:, 1], c=colour, **marks)
    stored = adata.uns.get(f"{color}_colors")
    for label, colour in category_colours(labels, None if stored is None else list(stored)).items():
        mine = points[(labels == label).to_numpy()]
        ax.scatter(mine[:, 0], mine[:, 1], c=colour, label=shortened(label), **marks)
    return None


def _correlation(a: np.ndarray, b: np.ndarray) -> str:
    if a.std() == 0 or b.std() == 0:
        return "r undefined"
    return f"r = {np.corrcoef(a, b)[0, 1]:.2f}"
