"""A dot plot for values that are never zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.pl._canvas import Canvas
from scif.pl._style import EXPRESSION, shortened, style
from scif.pl._values import dense, groups_of, log_normalised, marker_groups

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

__all__ = ["dotplot"]

_AREA = 130.0
"""Area of a full dot, points squared."""


def dotplot(
    adata: AnnData,
    genes: str | Sequence[str] | Mapping[str, Sequence[str]],
    groupby: str,
    *,
    layer: str | None = "denoised",
    probability: str | Any = None,
    threshold: float | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    r"""Plot genes (columns) by group of cells (rows): colour is mean expression, size the fraction of expressing cells.

    Denoised values are never zero, so the fraction of positive values would make every dot full. The size of a dot is
    the mean ``probability``, if given; or the fraction of cells with at least ``threshold`` molecules, if given. By
    default it is the expected fraction of cells in which a molecule is observed, the mean of :math:`1 - \exp(-\mu)`,
    which is comparable with a dot plot of counts.

    Parameters
    ----------
    adata
        Cells with denoised counts at the depth of the observed ones.
    genes
        Gene, genes, or genes by the name of what they mark.
    groupby
        Column of ``obs`` with labels.
    layer
        Layer with denoised counts; ``X`` if None. To plot counts, set ``threshold=1``.
    probability
        Layer, or array of the shape of ``adata``, with the probability that a cell expresses a gene above a threshold
        of your choice.
    threshold
        Minimum number of molecules in an expressing cell.
    show
        Show the figure now; default True, unless ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.

    Returns
    -------
    None; or the axes, if ``show=False``; or the figure, if ``return_fig=True``.

    Raises
    ------
    ValueError
        If a gene, column or layer is missing, ``probability`` does not hold probabilities of the right shape, or both
        ``probability`` and ``threshold`` are given.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import truncated_svd
    >>> from scif.pl import dotplot
    >>> adata = pbmc68k_counts()
    >>> adata.layers["denoised"] = truncated_svd(adata.X, 10)
    >>> ax = dotplot(adata, ["LYZ", "NKG7", "CD79A"], "bulk_labels", show=False)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['LYZ', 'NKG7', 'CD79A']
    """
    markers = marker_groups(adata, genes)
    names = [gene for own in markers.values() for gene in own]
    labels = groups_of(adata, groupby)
    groups = list(labels.cat.categories)
    share, title = _share(adata, names, layer, probability, threshold)
    mean = np.expm1(log_normalised(adata, layer, names))
    by_group = [(labels == group).to_numpy() for group in groups]
    sizes = np.stack([share[cells].mean(axis=0) for cells in by_group])
    colours = np.log1p(np.stack([mean[cells].mean(axis=0) for cells in by_group]))
    colours /= np.maximum(colours.max(axis=0), 1e-12)
    with style():
        size = (0.3 * max(len(names), 3) + 3.9, 0.26 * len(groups) + 1.5)
        canvas = Canvas(size, show=show, save=save, return_fig=return_fig)
        ax = canvas.single()
        columns, rows = np.meshgrid(np.arange(len(names)), np.arange(len(groups)))
        points = ax.scatter(
            columns.ravel(),
            rows.ravel(),
            s=_AREA * sizes.ravel(),
            c=colours.ravel(),
            cmap=EXPRESSION,
            vmin=0,
            vmax=1,
            edgecolors="#555566",
            linewidths=0.3,
        )
        ax.set_xticks(range(len(names)), names, rotation=90, fontstyle="italic")
        ax.set_yticks(range(len(groups)), [shortened(group) for group in groups])
        ax.set(xlim=(-0.7, len(names) - 0.3), ylim=(len(groups) - 0.4, -0.6))
        ax.tick_params(length=0)
        _names(ax, markers)
        bar = canvas.figure.colorbar(points, ax=ax, shrink=0.5, aspect=12, ticks=[0, 1], pad=0.02)
        bar.set_ticklabels(["0", "highest"])
        bar.set_label("mean of the group")
        bar.outline.set_visible(False)
        _size_legend(canvas.figure, title)
        return canvas.finish(ax)


def _share(
    adata: AnnData, genes: list[str], layer: str | None, probability: Any, threshold: float | None
) -> tuple[np.ndarray, str]:
    """Values in [0, 1], ``(cells, genes)``, whose mean is the share of expressing cells, and their name."""
    if probability is not None and threshold is not None:
        msg = "probability and threshold are both given; the probability already has a threshold, so pass one of them."
        raise ValueError(msg)
    if probability is None and threshold is None:
        return -np.expm1(-dense(adata, layer, genes)), "cells with a molecule,\nexpected"
    if threshold is not None:
        return (dense(adata, layer, genes) >= threshold).astype(float), f"cells with {threshold:g}\nor more molecules"
    if isinstance(probability, str):
        found = dense(adata, probability, genes)
    else:
        given = np.asarray(probability)
        if given.shape != adata.shape:
            msg = f"probability has shape {given.shape}; pass one value for each of {adata.shape} cells and genes."
            raise ValueError(msg)
        found = given[:, adata.var_names.get_indexer(genes)].astype(float)
    if not bool(((found >= 0) & (found <= 1)).all()):
        msg = f"probability has values in [{found.min():g}, {found.max():g}]; probabilities lie in [0, 1]."
        raise ValueError(msg)
    return found, "cells that express,\nby probability"


def _names(ax: Any, markers: dict[str, list[str]]) -> None:
    start = 0
    for name, genes in markers.items():
        if name:
            middle = start + (len(genes) - 1) / 2
            where = ax.get_xaxis_transform()
            ax.text(middle, 1.01, shortened(name), transform=where, ha="left", rotation=40, fontsize=7)
            if start:
                ax.axvline(start - 0.5, color="#cccccc", linewidth=0.6)
        start += len(genes)


def _size_legend(figure: Figure, title: str) -> None:
    from matplotlib.lines import Line2D

    shares = (0.25, 0.5, 0.75, 1.0)
    style = {"marker": "o", "linestyle": "", "color": "#999999", "markeredgewidth": 0}
    handles = [Line2D([], [], markersize=np.sqrt(_AREA * s), **style) for s in shares]  # type: ignore[arg-type]
    names = [f"{s:.0%}" for s in shares]
    figure.legend(
        handles, names, title=title, loc="outside right center", labelspacing=0.7, title_fontsize=7, fontsize=7
    )
