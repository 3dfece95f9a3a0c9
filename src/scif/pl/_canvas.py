"""Start and end of every figure function: scanpy's ``show``, ``save``, ``ax`` and ``return_fig``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Canvas"]

#: Backends that draw to files only.
_FILE_BACKENDS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


class Canvas:
    """A figure to draw in, and what becomes of it.

    Parameters
    ----------
    size
        Width and height in inches; ``ax`` has its own.
    show, save, return_fig, ax
        As every figure function of ``scif.pl`` takes them.
    layout
        Layout engine of a new figure.
    """

    def __init__(
        self,
        size: tuple[float, float],
        *,
        show: bool | None,
        save: str | Path | None,
        return_fig: bool,
        ax: Axes | None = None,
        layout: Literal["constrained", "compressed"] = "constrained",
    ) -> None:
        from matplotlib.figure import Figure

        self.show = (ax is None and not return_fig) if show is None else show
        self.save, self.return_fig, self.ax = save, return_fig, ax
        if ax is not None:
            self.figure: Figure = ax.get_figure(root=True)  # type: ignore[assignment]
        elif self.show and _interactive():
            from matplotlib import pyplot

            self.figure = pyplot.figure(figsize=size, layout=layout)
        else:
            self.figure = Figure(figsize=size, layout=layout)

    def single(self) -> Axes:
        """The axes given, or one of the new figure."""
        return self.figure.subplots() if self.ax is None else self.ax

    def finish(self, axes: Any) -> Any:
        """Write and show; return nothing, the axes or the figure, as ``show`` and ``return_fig`` ask for."""
        if self.save is not None:
            self.figure.savefig(self.save, bbox_inches="tight")
        if self.show and _interactive():
            from matplotlib import pyplot

            pyplot.show()
        if self.return_fig:
            return self.figure
        return None if self.show else axes


def _interactive() -> bool:
    import matplotlib as mpl

    return mpl.get_backend().lower() not in _FILE_BACKENDS
