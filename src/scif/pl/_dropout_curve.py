"""Share of zeros of each gene against its mean, as observed and as denoised values predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import library_sizes
from scif.pl._canvas import Canvas
from scif.pl._style import DENOISED, OBSERVED, style
from scif.pl._values import matrix

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

__all__ = ["dropout_curve"]


def dropout_curve(
    adata: AnnData,
    *,
    layer: str | None = "denoised",
    observed_layer: str | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
    ax: Axes | None = None,
) -> Any:
    r"""Plot each gene's fraction of zeros against its mean count.

    The line shows the fraction from sampling alone, if no gene differs between cells: the mean of :math:`\exp(-L p)`
    over library sizes :math:`L`. Genes above it vary between cells. Denoised values predict the mean of
    :math:`\exp(-\mu)`. The more of the distance from the line they explain, the more variation they keep.

    Parameters
    ----------
    adata
        Cells with observed and denoised counts.
    layer
        Layer with denoised counts at the depth of the observed ones; None omits them.
    observed_layer
        Layer with observed counts; default ``X``.
    show
        Show the figure now; default True, unless ``ax`` is given or ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.
    ax
        Axes to draw in.

    Returns
    -------
    None; or the axes, if ``show=False``; or the figure, if ``return_fig=True``.

    Raises
    ------
    ValueError
        If a layer is missing.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.pl import dropout_curve
    >>> dropout_curve(pbmc68k_counts(), layer=None, show=False).get_ylabel()
    'share of zeros'
    """
    counts = sparse.csc_matrix(matrix(adata, observed_layer))
    mean = np.asarray(counts.mean(axis=0)).ravel()
    zeros = 1 - counts.getnnz(axis=0) / counts.shape[0]
    size = library_sizes(counts)
    grid = np.geomspace(max(mean[mean > 0].min(initial=1.0), 1e-4), max(mean.max(), 1e-3), 100)
    flat = np.exp(-np.outer(grid / size.mean(), size)).mean(axis=1)
    with style():
        canvas = Canvas((4.2, 3.1), show=show, save=save, return_fig=return_fig, ax=ax)
        ax = canvas.single()
        marks = {"s": 7, "linewidths": 0, "alpha": 0.7, "rasterized": True}
        ax.scatter(mean, zeros, c=OBSERVED, label="observed", **marks)  # type: ignore[arg-type]
        rings = {"s": 12, "facecolors": "none", "edgecolors": DENOISED, "linewidths": 0.7, "rasterized": True}
        if layer is not None:
            ax.scatter(mean, _expected_zeros(matrix(adata, layer)), label=layer, **rings)  # type: ignore[arg-type]
        ax.plot(grid, flat, color="#222222", linewidth=1.2, label="sampling alone")
        ax.set(xscale="log", xlabel="mean molecules per cell", ylabel="share of zeros", ylim=(-0.02, 1.02))
        ax.legend(loc="lower left", handletextpad=0.3, markerscale=2)
        return canvas.finish(ax)


def _expected_zeros(X: object) -> np.ndarray:
    """Mean of ``exp(-value)`` over cells, per gene."""
    total, cells = 0.0, X.shape[0]  # type: ignore[attr-defined]
    for start in range(0, cells, 1024):
        block = X[start : start + 1024]  # type: ignore[index]
        total = total + np.exp(-np.asarray(block.toarray() if sparse.issparse(block) else block, float)).sum(axis=0)
    return np.asarray(total) / cells
