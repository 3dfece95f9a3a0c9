"""How much of each gene's variance is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics import GeneVariances
from scif.pl._canvas import Canvas
from scif.pl._style import DENOISED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gene_variance"]

_BINS = 10


def gene_variance(
    found: GeneVariances,
    *,
    share: float = 0.5,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
    ax: Axes | None = None,
) -> Any:
    """Plot denoised against true squared coefficients of variation, one point per gene.

    The true values are estimated from two independent counts of the same cells. They are uncertain for a single gene;
    negative estimates are not drawn. The dark line joins the means of bins of genes, including the negative estimates.

    Parameters
    ----------
    found
        Variances of :func:`scif.metrics.gene_variances`.
    share
        Fraction of the genes to draw, the most abundant first.
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
        If ``share`` is not a fraction, or if the genes show no signal.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import gene_variances, split_counts, truncated_svd
    >>> from scif.pl import gene_variance
    >>> split = split_counts(pbmc68k_counts().X, 0.5)
    >>> ax = gene_variance(gene_variances(truncated_svd(split.train), split.train, split.test), show=False)
    >>> ax.get_xlabel()
    'true squared coefficient of variation'
    """
    kept = found.kept(share)
    top = np.argsort(-found.mean, kind="stable")[: max(round(share * len(found.mean)), 1)]
    top = top[found.mean[top] > 0]
    true, denoised = (v[top] / found.mean[top] ** 2 for v in (found.signal, found.denoised))
    shown = (true > 0) & (denoised > 0)
    with style():
        canvas = Canvas((3.6, 3.3), show=show, save=save, return_fig=return_fig, ax=ax)
        ax = canvas.single()
        ax.scatter(true[shown], denoised[shown], s=9, c=DENOISED, alpha=0.5, linewidths=0, rasterized=True)
        low, high = (f(np.concatenate([true[shown], denoised[shown]])) for f in (np.min, np.max))
        ax.plot([low, high], [low, high], color="#888888", linewidth=0.8)
        bins = np.array_split(np.argsort(denoised), min(_BINS, len(top)))
        means = np.array([[true[b].mean(), denoised[b].mean()] for b in bins])
        means = means[(means > 0).all(axis=1)]
        ax.plot(*means.T, "o-", color="#222222", markersize=3.5, linewidth=1)
        ax.set(xscale="log", yscale="log", xlabel="true squared coefficient of variation", ylabel="of denoised values")
        ax.set_title(f"variance kept {kept:.2f}; 1 is ideal", fontsize=8, loc="left")
        return canvas.finish(ax)
