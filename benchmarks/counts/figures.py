"""Figures of all results: accuracy per data set, accuracy against cost without ablations, the truth on simulations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.counts.methods import METHODS
from benchmarks.counts.table import runs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

__all__ = ["draw", "draw_sets"]

_KIND_COLOURS = {
    "baseline": "#9a9a9a",
    "peer": "#4477aa",
    "ablation": "#ccaa33",
    "model": "#cc3311",
    "oracle": "#228833",
    "tuned": "#225588",
    "with residual": "#ccaa33",
}


def draw(results: Sequence[dict[str, Any]], out: Path) -> None:
    """Write ``gain.png``, ``cost.png`` and, where there are simulated data, ``truth.png``."""
    table = runs(results)
    held_out = table[table["kind"] == "held-out"]
    if held_out["gain"].notna().any():
        _draw_gain(held_out).savefig(out / "gain.png", dpi=150)
        _draw_cost(held_out).savefig(out / "cost.png", dpi=150)
    if "composition_error" in held_out:
        _draw_truth(held_out.dropna(subset="composition_error")).savefig(out / "truth.png", dpi=150)


def draw_sets(table: pd.DataFrame) -> Figure:
    """Gain of ICM on every set of :func:`benchmarks.counts.every_set.every_set`, in its order."""
    figure = Figure(figsize=(7.5, 1.2 + 0.15 * len(table)), layout="constrained")
    axis = figure.subplots()
    place = np.arange(len(table))
    axis.hlines(place, 1.0, table["gain"], color=_KIND_COLOURS["model"], alpha=0.35, linewidth=2)
    axis.plot(table["gain"], place, "o", color=_KIND_COLOURS["model"], markersize=4)
    names = [f"{row['set']}  ({row['cells']:,} x {row['genes']:,})" for row in table.to_dict("records")]
    _plain(axis)
    axis.set_yticks(place, names, fontsize=6)
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.axvline(1.0, color="black", linewidth=0.8)
    _logarithmic(axis)
    axis.set_xticks([1, 1.2, 1.5, 2, 3, 5, 8])
    label = "gain in held-out molecules over one profile for all cells\n(1: the best other method on that set)"
    axis.set_xlabel(label, fontsize=8)
    axis.grid(axis="x", linewidth=0.4)
    return figure


def _panels(number: int, *, width: float, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    columns = min(number, 3)
    rows = -(-number // columns)
    figure = Figure(figsize=(width * columns + 1.0, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for axis in axes[:number]:
        _plain(axis)
    for axis in axes[number:]:
        axis.set_axis_off()
    return figure, list(axes[:number])


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=7)


def _logarithmic(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _order(table: pd.DataFrame) -> list[str]:
    present = set(table["method"])
    return [method for method in METHODS if method in present]


def _without(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    return table[[METHODS[method].kind != kind for method in table["method"]]]


def _dots(axis: Axes, table: pd.DataFrame, column: str, methods: Sequence[str], *, least: float = -np.inf) -> None:
    """One dot per seed and a bar at their mean, methods from top to bottom; an arrow for a mean below ``least``."""
    for place, method in enumerate(methods):
        values = table.loc[table["method"] == method, column].to_numpy()
        colour = _KIND_COLOURS[METHODS[method].kind]
        if values.size and values.mean() < least:
            axis.plot([least], [place], "<", color=colour, markersize=6)
        elif values.size:
            axis.plot(values, np.full(values.size, place), "o", color=colour, alpha=0.6, markersize=4)
            axis.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2)
    axis.set_yticks(range(len(methods)), [METHODS[method].label for method in methods])
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.grid(axis="x", linewidth=0.4)


def _draw_gain(table: pd.DataFrame) -> Figure:
    table = table[table["gain"].notna()]
    figure, axes = _panels(table["dataset"].nunique(), width=2.8, height=3.8, sharey=True)
    methods = _order(table)
    for axis, (name, part) in zip(axes, table.groupby("dataset"), strict=True):
        _dots(axis, part, "gain", methods, least=-0.1)
        axis.axvline(1.0, color="black", linewidth=0.8)
        axis.set_title(f"{name}\n{part['cells'].iloc[0]} cells x {part['genes'].iloc[0]} genes", fontsize=7)
        axis.set_xlabel("gain over the pooled profile\n(1: best peer; arrow: below 0)", fontsize=7)
    return figure


def _draw_cost(table: pd.DataFrame) -> Figure:
    table = _without("ablation", table)  # they would hide one another
    table = table[(table["gain"] > 0.0) & (table["seconds"] > 0.0)]
    figure, axes = _panels(table["dataset"].nunique(), width=4.6, height=4.0)
    for axis, (name, part) in zip(axes, table.groupby("dataset"), strict=True):
        means = part.groupby("method")[["seconds", "gain", "peak_mb"]].mean().sort_values("seconds")
        area = 250.0 * means["peak_mb"] / means["peak_mb"].max()
        colours = [_KIND_COLOURS[METHODS[str(method)].kind] for method in means.index]
        axis.scatter(means["seconds"], means["gain"], s=area, c=colours, alpha=0.5, linewidths=0)
        for place, (method, row) in enumerate(means.iterrows()):
            axis.annotate(
                str(method),
                (row["seconds"], row["gain"]),
                xytext=(0, 9 if place % 2 else -14),
                textcoords="offset points",
                fontsize=6,
                ha="center",
            )
        _logarithmic(axis)
        axis.margins(y=0.15)
        low, high = np.log10(means["seconds"].min()), np.log10(means["seconds"].max())
        axis.set_xlim(10 ** np.floor(low - 0.2), 10 ** np.ceil(high + 0.2))  # whole decades, so that they have labels
        axis.set_title(f"{name} (area: peak memory, largest {means['peak_mb'].max():.0f} MiB)", fontsize=8)
        axis.set_xlabel("seconds to fit and denoise", fontsize=7)
        axis.set_ylabel("gain over the pooled profile", fontsize=7)
        axis.grid(linewidth=0.4)
    return figure


def _draw_truth(table: pd.DataFrame) -> Figure:
    columns = {
        "composition_error": "composition error",
        "gene_correlation_error": "gene-gene correlation error",
        "variance_between": "variance between types / true\n(arrow: below 0.1)",
        "variance_within": "variance within types / true\n(arrow: below 0.1)",
    }
    table = _without("oracle", table)
    names = sorted(table["dataset"].unique(), key=lambda name: (len(name), name))
    figure = Figure(figsize=(3.2 * len(columns) + 1.6, 3.2 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), len(columns), squeeze=False, sharey="row")
    for row, name in zip(axes, names, strict=True):
        part = table[table["dataset"] == name]
        for axis, (column, label) in zip(row, columns.items(), strict=True):
            _dots(axis, part, column, _order(part), least=0.1 if column.startswith("variance") else -np.inf)
            _plain(axis)
            axis.set_title(f"{name}: {label}", fontsize=8)
            if column.startswith("variance"):
                _logarithmic(axis)
                axis.axvline(1.0, color="black", linewidth=0.8)
    return figure
