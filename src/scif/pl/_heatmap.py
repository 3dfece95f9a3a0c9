"""Marker genes over cells, before and after denoising."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.pl._canvas import Canvas
from scif.pl._style import EXPRESSION, category_colours, shortened, style
from scif.pl._values import groups_of, log_normalised, marker_groups

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["heatmap"]

_MAX_CELLS = 2000


def heatmap(
    adata: AnnData,
    genes: str | Sequence[str] | Mapping[str, Sequence[str]],
    groupby: str,
    *,
    layer: str = "denoised",
    observed_layer: str | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot marker genes (columns) by cells (rows, grouped), observed next to denoised.

    Values are scaled to 10,000 per cell and ``log1p``-transformed. Each gene is scaled from zero to its 99th percentile
    in the same matrix, so that patterns are comparable, not heights. If there are more than 2,000 cells, only every
    n-th is drawn.

    Parameters
    ----------
    adata
        Cells with observed and denoised counts.
    genes
        Gene, genes, or genes by the name of what they mark.
    groupby
        Column of ``obs`` with labels.
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
    None; or both axes, if ``show=False``; or the figure, if ``return_fig=True``.

    Raises
    ------
    ValueError
        If a gene, column or layer is missing.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.pl import heatmap
    >>> adata = pbmc68k_counts()
    >>> adata.layers["denoised"] = truncated_svd(adata.X, 10)
    >>> axes = heatmap(adata, {"B cells": ["CD79A", "MS4A1"], "T cells": ["CD3D"]}, "bulk_labels", show=False)
    >>> [ax.get_title() for ax in axes]
    ['observed', 'denoised']
    """
    markers = marker_groups(adata, genes)
    names = [gene for own in markers.values() for gene in own]
    labels = groups_of(adata, groupby)
    order = np.argsort(labels.cat.codes.to_numpy(), kind="stable")
    order = order[labels.cat.codes.to_numpy()[order] >= 0]
    order = order[:: max(-(-len(order) // _MAX_CELLS), 1)]
    stored = adata.uns.get(f"{groupby}_colors")
    colours = category_colours(labels, None if stored is None else list(stored))
    with style():
        panel = max(0.19 * len(names), 0.9)
        width = 2 * panel + 2.8
        canvas = Canvas((width, 4.6), show=show, save=save, return_fig=return_fig)
        strip, left, right = canvas.figure.subplots(1, 3, width_ratios=[0.12, panel, panel])
        _strip(strip, labels.iloc[order].astype(str).to_numpy(), colours)
        for ax, (title, source) in zip((left, right), {"observed": observed_layer, layer: layer}.items(), strict=True):
            values = log_normalised(adata, source, names)
            top = np.percentile(values, 99, axis=0)
            values = values[order] / np.where(top > 0, top, np.maximum(values.max(axis=0), 1e-9))
            image = _image(ax, values)
            ax.set_title(title, fontsize=10, pad=16 if "" not in markers else 6)
            ax.set_xticks(range(len(names)), names, rotation=90, fontstyle="italic")
            ax.set(yticks=[])
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            _brackets(ax, markers)
        bar = canvas.figure.colorbar(image, ax=[left, right], shrink=0.35, aspect=16, ticks=[0, 1], pad=0.02)
        bar.set_ticklabels(["0", "99%"])
        bar.set_label("log expression of the gene")
        bar.outline.set_visible(False)
        return canvas.finish(np.array([left, right]))


def _image(ax: Axes, values: np.ndarray) -> AxesImage:
    """The matrix; columns are repeated, so that rows are averaged where they are many and genes are not."""
    cells, genes = values.shape
    shown = np.repeat(values, max(400 // genes, 1), axis=1)
    extent = (-0.5, genes - 0.5, cells - 0.5, -0.5)
    return ax.imshow(shown, aspect="auto", cmap=EXPRESSION, vmin=0, vmax=1, interpolation="antialiased", extent=extent)


def _strip(ax: Axes, labels: np.ndarray, colours: dict[str, str]) -> None:
    """Colours and names of the groups, down the left side."""
    edges = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), len(labels)]
    named = {str(name): colour for name, colour in colours.items()}
    for start, stop in zip(edges, edges[1:], strict=False):
        ax.axhspan(start - 0.5, stop - 0.5, color=named[labels[start]], linewidth=0)
    centres = [(start + stop - 1) / 2 for start, stop in zip(edges, edges[1:], strict=False)]
    ax.set(xticks=[], ylim=(len(labels) - 0.5, -0.5))
    ax.set_yticks(_spread(centres, len(labels)), [shortened(labels[start]) for start in edges[:-1]], fontsize=7)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _spread(centres: list[float], n: int) -> list[float]:
    """Positions near the centres that leave a line of text to each name."""
    gap = 0.032 * n
    places = list(centres)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    overflow = places[-1] - (n - 1)
    if overflow > 0:
        places[-1] -= overflow
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - gap)
    return places


def _brackets(ax: Axes, markers: dict[str, list[str]]) -> None:
    """Names of what the genes mark, above them."""
    start = 0
    for name, genes in markers.items():
        stop = start + len(genes)
        if name:
            where = ax.get_xaxis_transform()
            ax.plot([start - 0.35, stop - 0.65], [1.008, 1.008], transform=where, color="#444444", lw=1, clip_on=False)
            label = shortened(name, 4 * len(genes) + 4)
            ax.text((start + stop - 1) / 2, 1.02, label, transform=where, ha="center", fontsize=7)
        start = stop
