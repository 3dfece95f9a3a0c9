"""Held-out losses of denoisers as bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics import CrossValidation
from scif.pl._canvas import Canvas
from scif.pl._style import DENOISED, shortened, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["molecular_cross_validation"]


def molecular_cross_validation(
    result: CrossValidation,
    *,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
    ax: Axes | None = None,
) -> Any:
    """Plot the held-out loss of each method, best first, with the splits as points.

    Baselines are grey. If there is a pooled profile, bars start at its loss. Bars to the right are better; bars far to
    the left are cut off and labelled with their value. Methods without a score are listed.

    Parameters
    ----------
    result
        Scores of :func:`scif.metrics.molecular_cross_validation`.
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
        If no method has a score.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import molecular_cross_validation
    >>> from scif import pl
    >>> result = molecular_cross_validation(pbmc68k_counts(), {}, n_splits=1)
    >>> [t.get_text() for t in pl.molecular_cross_validation(result, show=False).get_yticklabels()]
    ['tuned SVD', 'pooled profile', 'no denoising']
    """
    result.best()  # says why, if there is none
    pooled = "pooled profile" in result.methods
    start = result.scores[result.methods.index("pooled profile")] if pooled else 0.0
    values = (start - result.scores) if pooled else result.scores
    table = result.to_frame()
    order = np.argsort(np.nan_to_num(table["poisson_nll"].to_numpy(), nan=np.inf), kind="stable")
    with style():
        canvas = Canvas((5.2, 0.3 * len(order) + 0.9), show=show, save=save, return_fig=return_fig, ax=ax)
        ax = canvas.single()
        gain = float(np.nanmax(values))
        cut = -0.6 * gain if pooled and gain > 0 else -np.inf  # what is far below would hide all others
        scored = table["splits"].to_numpy() > 0
        for place, i in enumerate(order):
            if not scored[i]:
                ax.text(0.0, place, "  no score", va="center", color="#aa3333", fontsize=7)
                continue
            mean = float(np.nanmean(values[i]))
            ax.barh(place, max(mean, cut), color=DENOISED if result.own[i] else "#b9bcc6", height=0.66)
            if mean < cut:
                ax.text(cut, place, f" {mean:.3g}, cut", va="center", fontsize=7)
            else:
                ax.plot(values[i], np.full(values.shape[1], place), "o", color="#222222", markersize=2.2)
        ax.set_yticks(range(len(order)), [shortened(result.methods[i]) for i in order])
        ax.set(ylim=(len(order) - 0.45, -0.55))
        label = "gain over the pooled profile, Poisson NLL of held-out molecules" if pooled else "held-out Poisson NLL"
        ax.set_xlabel(label)
        ax.axvline(0, color="#222222", linewidth=0.8)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.margins(x=0.06)
        return canvas.finish(ax)
