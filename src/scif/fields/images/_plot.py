"""Parts that the plots of this package share."""

from __future__ import annotations

from typing import Any

from scif._extras import require

__all__ = ["new_axes"]


def new_axes(ax: Any = None) -> Any:
    """``ax``, or the axes of a new small figure."""
    if ax is not None:
        return ax
    plt = require("matplotlib.pyplot", extra="plot", purpose="a plot")
    return plt.subplots(figsize=(4.5, 3.2), layout="constrained")[1]
