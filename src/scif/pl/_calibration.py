"""Are predictions of held-out counts, and intervals, calibrated?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics import Coverage, predictive_coverage
from scif.pl._canvas import Canvas
from scif.pl._style import DENOISED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration"]

_BINS = 20
_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def calibration(
    pit: np.ndarray,
    coverage: Coverage | None = None,
    *,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot the histogram of a probability integral transform, and the coverage of intervals against their level.

    For correct predictions the histogram is flat. A hill means that they are too wide, a valley that they are too
    narrow, and a slope that they are shifted. Coverage is drawn as its difference from the level, overall and within
    quarters of expression and of depth.

    Parameters
    ----------
    pit
        Probability integral transform of held-out counts, from :func:`scif.metrics.randomised_pit` or
        :func:`scif.metrics.pit_of_draws`.
    coverage
        Coverage at two or more levels. By default it is computed from ``pit``, and its quarters have no meaning.
    show
        Show the figure now; default True, unless ``return_fig`` is set.
    save
        File to write the figure to; its suffix sets the format.
    return_fig
        Return the figure.

    Returns
    -------
    None; or both axes, if ``show=False``; or the figure, if ``return_fig=True``.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import randomised_pit
    >>> from scif.pl import calibration
    >>> counts = np.random.default_rng(0).poisson(1.0, (100, 20))
    >>> axes = calibration(randomised_pit(counts, np.ones((100, 20))), show=False)
    >>> [ax.get_xlabel() for ax in axes]
    ['probability integral transform', 'level of the interval']
    """
    quartered = coverage is not None
    found = predictive_coverage(pit, levels=_LEVELS) if coverage is None else coverage
    with style():
        canvas = Canvas((7.6 if quartered else 6.2, 2.7), show=show, save=save, return_fig=return_fig)
        left, right = canvas.figure.subplots(1, 2)
        _histogram(left, np.asarray(pit).ravel())
        _coverage(right, found, quartered=quartered)
        return canvas.finish(np.array([left, right]))


def _histogram(ax: Axes, pit: np.ndarray) -> None:
    density, edges = np.histogram(pit, bins=_BINS, range=(0, 1), density=True)
    ax.bar(edges[:-1], density, width=1 / _BINS, align="edge", color=DENOISED, alpha=0.75, edgecolor="white", lw=0.4)
    ax.axhline(1.0, color="#222222", linewidth=1)
    top = max(1.35, 1.1 * density.max())
    ax.set(xlabel="probability integral transform", ylabel="density", xlim=(0, 1), ylim=(0, top))
    ax.set_title("flat at 1 if calibrated", fontsize=8, loc="right")


def _coverage(ax: Axes, found: Coverage, *, quartered: bool) -> None:
    order = np.argsort(found.levels)
    levels = found.levels[order]
    import matplotlib as mpl

    ax.axhline(0, color="#222222", linewidth=1)
    largest = np.abs(found.overall - found.levels).max()
    parts = {"expression": (found.by_expression, "YlOrBr"), "depth": (found.by_depth, "YlGn")} if quartered else {}
    for name, (share, colours) in parts.items():
        for quarter in range(4):
            off = (share[:, quarter] - found.levels)[order]
            label = f"{name}, {('lowest', '', '', 'highest')[quarter]} quarter" if quarter in (0, 3) else None
            colour = mpl.colormaps[colours](0.3 + 0.2 * quarter)
            ax.plot(levels, off, "o-", color=colour, markersize=2.5, linewidth=1, label=label)
            largest = max(largest, np.nanmax(np.abs(off)))
    off = found.overall[order] - levels
    ax.plot(levels, off, "o-", color=DENOISED, markersize=4, linewidth=1.6, label="all entries")
    limit = max(0.05, 1.15 * largest)
    ax.set(xlabel="level of the interval", ylabel="share inside, minus level", xlim=(0, 1), ylim=(-limit, limit))
    ax.set_title("zero if calibrated", fontsize=8, loc="right")
    if quartered:
        ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside right center", fontsize=7)
