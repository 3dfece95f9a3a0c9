"""Input, truth, prediction, error and horizontal velocity, as in the publication's figure."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from scif.fields.fluids import relative_l2, velocity

__all__ = ["draw"]


def draw(title: str, fields: Mapping[str, Tensor], methods: list[str]) -> Figure:
    """Rows of vorticity, error and horizontal velocity; errors share a colour range of their own.

    Parameters
    ----------
    title
        The case.
    fields
        Fields ``(n, height, width)`` by name; those called ``"input"`` and ``"truth"`` come first.
    methods
        Estimates to show.
    """
    shown = [name for name in ("input", "truth", *methods) if name in fields]
    first = {name: fields[name][0] for name in shown}
    truth = first["truth"]
    figure = Figure(figsize=(1.9 * len(shown) + 0.6, 6.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(3, len(shown), squeeze=False)
    errors = {name: field - truth for name, field in first.items() if name != "truth"}
    speeds = {name: velocity(field)[0] for name, field in first.items()}
    limits = [
        float(truth.abs().max()),
        max(float(errors[name].abs().quantile(0.995)) for name in methods if name in errors),
        float(speeds["truth"].abs().max()),
    ]
    for column, name in zip(axes.T, shown, strict=True):
        images = [_show(column[0], first[name], limits[0], name)]
        if name in errors:
            label = f"error, {float(relative_l2(first[name], truth)):.1%}"
            images.append(_show(column[1], errors[name], limits[1], label, colours="PuOr_r"))
        else:
            column[1].set_axis_off()
            images.append(None)
        images.append(_show(column[2], speeds[name], limits[2], "horizontal velocity"))
    for row, image, name in zip(axes, images, ("vorticity", "error of vorticity", "velocity"), strict=True):
        bar = figure.colorbar(image, ax=list(row), shrink=0.8, pad=0.01)
        bar.set_label(name, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def _show(axis: Axes, field: Tensor, limit: float, title: str, *, colours: str = "RdBu_r") -> object:
    axis.set_title(title, fontsize=8)
    axis.set(xticks=[], yticks=[])
    return axis.imshow(field, cmap=colours, vmin=-limit, vmax=limit, origin="lower", interpolation="nearest")
