"""The over-smoothing panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics import OverSmoothing
from scif.pl._canvas import Canvas
from scif.pl._style import DENOISED, NULL, OBSERVED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["over_smoothing"]


def over_smoothing(
    panel: OverSmoothing,
    *,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot the effect of denoising on correlations, zeros and variance within clusters.

    Correlations of shuffled genes should be near zero, like the observed ones. If they are as high as the denoised
    ones, the denoiser invents correlations. Observed variance contains noise, so a variance ratio below one is right,
    but a ratio near zero for all genes is not.

    Parameters
    ----------
    panel
        Result of :func:`scif.metrics.over_smoothing`.
    show
        Show the figure now; default True, unless ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.

    Returns
    -------
    None; or the two or three axes, if ``show=False``; or the figure, if ``return_fig=True``.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import over_smoothing, truncated_svd
    >>> from scif import pl
    >>> counts = pbmc68k_counts().X
    >>> len(pl.over_smoothing(over_smoothing(truncated_svd(counts, 5), counts), show=False))
    2
    """
    parts = [_correlations, _zeros] + ([_variance] if panel.variance_within is not None else [])
    with style():
        canvas = Canvas((3.1 * len(parts), 2.7), show=show, save=save, return_fig=return_fig)
        axes = canvas.figure.subplots(1, len(parts))
        for ax, draw in zip(axes, parts, strict=True):
            draw(ax, panel)
        return canvas.finish(axes)


def _correlations(ax: Axes, panel: OverSmoothing) -> None:
    grid = np.linspace(0, 1, 201)
    curves = {
        "observed": (panel.correlation_observed, OBSERVED),
        "denoised": (panel.correlation_denoised, DENOISED),
        "shuffled genes, denoised": (panel.correlation_null, NULL),
    }
    for name, (values, colour) in curves.items():
        if values is not None:
            share = 1 - np.searchsorted(np.sort(values), grid, side="left") / values.size
            ax.plot(grid, share, color=colour, linewidth=1.5, label=f"{name}, mean {values.mean():.2f}")
    ax.set(xlabel="absolute correlation of a pair", ylabel="share of pairs above it", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(loc="upper right", fontsize=7, handlelength=1.2)


def _zeros(ax: Axes, panel: OverSmoothing) -> None:
    ax.hist(panel.zeros_positive, bins=25, range=(0, 1), color=DENOISED, alpha=0.75)
    ax.set(xlabel="share of zeros turned positive", ylabel="genes", xlim=(0, 1), yscale="log")
    ax.set_title(f"mean {panel.zeros_positive.mean():.1%}", fontsize=8, loc="right")


def _variance(ax: Axes, panel: OverSmoothing) -> None:
    ratio = panel.variance_within
    if ratio is None:
        return
    top = max(1.15, float(np.percentile(ratio, 99.5)))
    ax.hist(np.minimum(ratio, top), bins=25, range=(0, top), color=DENOISED, alpha=0.75)
    ax.axvline(1.0, color="#222222", linewidth=1)
    ax.set(xlabel="variance within clusters,\ndenoised / observed", ylabel="genes", xlim=(0, top))
    ax.set_title(f"median {np.median(ratio):.2f}", fontsize=8, loc="right")
