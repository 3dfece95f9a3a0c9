"""How training went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.pl._canvas import Canvas
from scif.pl._style import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["learning_curve"]

_CURVES = {
    "train_loss": ("training objective", "#4477aa"),
    "validation_loss": ("Poisson NLL of held-out molecules", "#ee6677"),
}


def learning_curve(
    history: Mapping[str, pd.DataFrame],
    *,
    stages: Mapping[str, float] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
    return_fig: bool = False,
) -> Any:
    """Plot the training objective and the held-out score over epochs, and the time of each stage.

    Objective and score have different scales, so each has its own panel. The epoch with the best held-out score is
    marked; after it the model starts to fit noise.

    Parameters
    ----------
    history
        ``model.history`` of a trained model.
    stages
        Seconds per stage of the fit, in order, for an additional panel.
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
        If there is nothing to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from scif.pl import learning_curve
    >>> axes = learning_curve({"train_loss": pd.DataFrame({"train_loss": [3.0, 2.0, 1.5]})}, show=False)
    >>> axes[0].get_ylabel()
    'training objective'
    """
    present = [name for name in _CURVES if name in history and len(history[name])]
    if not present:
        msg = f"history has none of {list(_CURVES)} but {list(history)}; pass model.history of a trained model."
        raise ValueError(msg)
    panels = len(present) + bool(stages)
    with style():
        canvas = Canvas((3.4 * panels, 2.4), show=show, save=save, return_fig=return_fig)
        axes = canvas.figure.subplots(1, panels, squeeze=False)[0]
        for ax, name in zip(axes, present, strict=False):
            _curve(ax, history[name][name].astype(float).dropna(), name)  # scvi-tools stores objects
        if stages:
            _stages(axes[-1], stages)
        return canvas.finish(axes)


def _curve(ax: Axes, curve: pd.Series, name: str) -> None:
    label, colour = _CURVES[name]
    ax.plot(curve.index, curve, color=colour, linewidth=1.4)
    ax.set(xlabel="epoch", ylabel=label)
    ax.margins(x=0.02)
    if name == "validation_loss" and len(curve):
        place = int(np.argmin(curve))
        best = curve.index[place]
        ax.plot(best, curve[best], "o", color=colour, markersize=4)
        side = "right" if place > 0.7 * len(curve) else "left" if place < 0.3 * len(curve) else "center"
        ax.annotate(f"best, epoch {best}", (best, curve[best]), (0, -6), textcoords="offset points", ha=side, va="top")
        ax.margins(y=0.2)


def _stages(ax: Axes, stages: Mapping[str, float]) -> None:
    names, seconds = list(stages), np.array([float(value) for value in stages.values()])
    ax.barh(range(len(names)), seconds, color="#b9bcc6", height=0.66)
    for place, value in enumerate(seconds):
        ax.text(value, place, f" {value:.3g}", va="center", fontsize=7)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="seconds", ylim=(len(names) - 0.45, -0.55))
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.15)
