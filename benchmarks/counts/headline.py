"""``python -m benchmarks.counts.headline``: the figure of the README, from the rows kept in ``measured/``.

Runs no method. Writes ``measured/headline.png`` and, into the README, what the simple baseline reaches and what
consistency adds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.counts.every_set import read_measured
from benchmarks.report import replace_table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["SETS", "caption", "draw", "gains"]

_ROOT = Path(__file__).resolve().parents[2]
_FIGURE = Path(__file__).parent / "measured" / "headline.png"

SETS = {
    "pbmc68k": "human blood, 10x",
    "paul15": "mouse blood progenitors, MARS-seq",
    "mouse_bladder_cell_select_2100": "mouse bladder, Microwell-seq",
    "worm_neuron_select_2100": "worm neurons, sci-RNA-seq",
    "mpfc_starmap": "mouse cortex, STARmap (in situ)",
    "sc_dropseq": "three human cell lines, Drop-seq",
    "sc_celseq2": "three human cell lines, CEL-seq2",
    "RNAmix_sortseq": "mixtures of RNA, SORT-seq",
}
"""Tissue and technology of one set of each kind on which all methods below ran."""

_BASELINE = "svd-mixed-residual"
_LOOKS = {
    "svd-tuned": ("SVD, rank by held-out molecules", "v", "#7b9fc7"),
    "dca-style": ("DCA-style autoencoder", "s", "#4477aa"),
    "scvi": ("scVI", "^", "#225588"),
    "magic-log": ("MAGIC", "o", "#88bbdd"),
    _BASELINE: ("simple baseline", "D", "#ccaa33"),
    "icm-no-consistency": ("scif without consistency term", "|", "#cc3311"),
    "icm": ("scif", "o", "#cc3311"),
}
_LEAST = -0.1
"""Gains below are drawn as arrows at this place: the DCA-style autoencoder has -0.77 on RNA mixtures."""


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over splits, sets x methods: 0 is one profile for all cells, 1 the best peer with its defaults."""
    chosen = rows[(rows["kind"] == "held-out") & rows["dataset"].isin(list(SETS)) & rows["method"].isin(list(_LOOKS))]
    return chosen.pivot_table(index="dataset", columns="method", values="gain").loc[list(SETS), list(_LOOKS)]


def draw(rows: pd.DataFrame) -> Figure:
    """One line a set, one mark a method."""
    table, shape = gains(rows), rows.groupby("dataset")[["cells", "genes"]].first()
    figure = Figure(figsize=(8.2, 4.3), layout="constrained")
    axis = figure.subplots()
    for name, (label, marker, colour) in _LOOKS.items():
        _marks(axis, table[name].to_numpy(), label, marker=marker, colour=colour)
    axis.axvline(1.0, color="black", linewidth=0.8, zorder=0)
    axis.axvline(0.0, color="#999999", linewidth=0.8, zorder=0)
    names = [f"{label}\n{shape.cells[n]:,.0f} cells, {shape.genes[n]:,.0f} genes" for n, label in SETS.items()]
    axis.set_yticks(range(len(SETS)), names, fontsize=8)
    axis.set_ylim(len(SETS) - 0.5, -0.5)
    ends = "0: one profile for all cells, 1: the best other denoiser, defaults"
    axis.set_xlabel(f"gain in predicting held-out molecules\n{ends}", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", linewidth=0.4)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def _marks(axis: Axes, values: np.ndarray, label: str, *, marker: str, colour: str) -> None:
    places = np.arange(len(SETS))
    seen, below, thin = values >= _LEAST, values < _LEAST, marker == "|"  # a method that did not run there is neither
    size, edge = (12.0, 1.5) if thin else (6.5, 0.5)
    axis.plot(values[seen], places[seen], marker, color=colour, markersize=size, markeredgewidth=edge, label=label)
    axis.plot(np.full(below.sum(), _LEAST), places[below], "<", color=colour, markersize=6.5)


def caption(rows: pd.DataFrame) -> str:
    """The sentences below the figure, with their figures."""
    table = gains(rows)
    near = int((table["icm"] <= 1.1 * table[_BASELINE]).sum())
    added = 100.0 * (table["icm"] / table["icm-no-consistency"] - 1.0)
    return (
        "The *simple baseline* is a truncated SVD of log counts, tuned on held-out molecules. It is mixed with one\n"
        "profile for all cells and has scif's own gamma residual on top. "
        f"It is within 10% of scif on {near} of these {len(table)} sets.\n"
        f"The consistency term adds {added.min():.1f} to {added.max():.1f}% to scif's gain."
    )


def main() -> None:
    """Draw and write."""
    rows = read_measured()
    draw(rows).savefig(_FIGURE, dpi=130)
    replace_table(_ROOT / "README.md", caption(rows), name="headline")
    print(caption(rows))


if __name__ == "__main__":
    main()
