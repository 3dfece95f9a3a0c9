"""Colours and axes shared by the figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scif._extras import require

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

mpl = require("matplotlib", extra="plot", purpose="scif.pl")

__all__ = [
    "DENOISED",
    "EXPRESSION",
    "NULL",
    "OBSERVED",
    "bare",
    "category_colours",
    "legend_columns",
    "shortened",
    "style",
]

OBSERVED, DENOISED, NULL = "#8a8d99", "#4477aa", "#ee6677"
"""Colours of observed and denoised values, and of what must not be there, in every figure."""

EXPRESSION: Colormap = require("matplotlib.colors", extra="plot", purpose="scif.pl").LinearSegmentedColormap.from_list(
    "expression", ["#dcdce4", "#b3bfe6", "#7b7fcf", "#6a3d9a", "#3a0f4f"]
)
"""From light grey (nothing) to dark violet."""

_CATEGORIES = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#9977cc", "#886644"),
    *("#bbbbbb", "#222255", "#225555", "#666633", "#663333", "#cc99bb", "#88bb77", "#ddaa88", "#334499", "#555555"),
)


@contextmanager
def style() -> Iterator[None]:
    """Small sans-serif type and light axes, for the duration of a figure."""
    with mpl.rc_context(
        {
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.labelsize": 8,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "savefig.dpi": 200,
        }
    ):
        yield


def bare(ax: Axes) -> None:
    """Remove ticks and frame, which an embedding has no unit for, and set the panel off by a light ground."""
    ax.set(xticks=[], yticks=[], facecolor="#f6f6f9")
    ax.margins(0.08)
    ax.spines[:].set_visible(False)


def category_colours(labels: pd.Series, stored: list[str] | None = None) -> dict[str, str]:
    """One colour per category; those stored by scanpy come first, then ours, then as many as are needed."""
    categories = list(labels.cat.categories)
    if stored is not None and len(stored) >= len(categories):
        colours = [mpl.colors.to_hex(colour) for colour in stored]
    elif len(categories) <= len(_CATEGORIES):
        colours = list(_CATEGORIES)
    else:
        spread = mpl.colormaps["nipy_spectral"]
        colours = [mpl.colors.to_hex(spread(i / (len(categories) - 1))) for i in range(len(categories))]
    return dict(zip(categories, colours, strict=False))


def shortened(name: object, limit: int = 26) -> str:
    """A label of at most ``limit`` characters, cut in its middle: names of clusters differ at their ends."""
    text = str(name)
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head].rstrip()}\u2026{text[head + 1 - limit :].lstrip()}"


def legend_columns(n: int, height: float) -> int:
    """Columns that ``n`` lines of a legend need in a figure of some inches."""
    return -(-n // max(int(height / 0.19), 1))
