"""``python -m benchmarks.counts.every_set``: every set that was measured, a line each, and what they come to.

Reads the rows in ``measured/``; writes the table and what it comes to into ``benchmarks/README.md``, the latter
into the ``README.md`` of the repository, too, and ``measured/every_set.png``. Runs nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.counts.methods import METHODS
from benchmarks.report import replace_table
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

__all__ = ["describe", "every_set", "read_measured"]

_MEASURED = Path(__file__).parent / "measured"
_ROOT = Path(__file__).resolve().parents[2]
_COLUMNS = (
    "set",
    "rows in",
    "cells x genes",
    "splits",
    "best peer",
    "gain of ICM",
    "consistency adds",
    "excess, rates",
    "excess, counts",
    "transport's, rates",
    "transport's, counts",
    "MAGIC's, rates",
    "variance, transport",
    "variance, MAGIC",
)
ASKED_GAIN, ASKED_EXCESS = 1.12, 0.02
"""Issue 5: gain relative to the best peer on every set, and excess correlation of shuffled genes."""


def read_measured(directory: Path = _MEASURED) -> pd.DataFrame:
    """Rows of all files, with the file's name in ``group``."""
    tables = [  # "null" is a kind
        pd.read_csv(path, keep_default_na=False, na_values=[""]).assign(group=path.stem)
        for path in sorted(directory.glob("*.csv"))
    ]
    return pd.concat(tables, ignore_index=True)


def every_set(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per real set: gain, best peer, what consistency adds, excess correlations; means over splits.

    Sets of which no peer predicts held-out counts better than the pooled profile have no gain and are left out.
    """
    real = rows[~rows["dataset"].str.startswith("simulated")]
    lines = [_line(str(name), part) for name, part in real.groupby("dataset")]
    table = pd.DataFrame(lines).dropna(subset="gain")
    return table.sort_values("gain", ascending=False, ignore_index=True)


def _line(name: str, rows: pd.DataFrame) -> dict[str, object]:
    held_out = rows[rows["kind"] == "held-out"]
    nll = held_out.pivot(index="seed", columns="method", values="poisson_nll")
    peers = [method for method in nll.columns if METHODS[method].kind == "peer"]
    best = nll[peers].mean().idxmin()
    ours, without = nll["pooled"] - nll["icm"], nll["pooled"] - nll["icm-no-consistency"]
    others = [method for method in nll.columns if METHODS[method].kind in ("peer", "baseline")]
    variance = {
        f"{method}, variance": _mean(held_out, method, "gene_variance") for method in ("icm-transport", "magic-log")
    }
    excess = {
        f"{method}, {kind}": _mean(rows[rows["kind"] == kind], method, "null_excess")
        for method in ("icm", "icm-transport", "magic-log")
        for kind in ("null", "null-count")
    }
    return {
        "set": name,
        "group": rows["group"].iloc[0],
        "cells": held_out["cells"].iloc[0],
        "genes": held_out["genes"].iloc[0],
        "splits": int(ours.notna().sum()),
        "peers": len(peers),
        "scvi": "scvi" in peers,
        "best peer": METHODS[best].label,
        "gain": held_out.loc[held_out["method"] == "icm", "gain"].mean(),
        "ahead": bool((nll["icm"] < nll[others].min(axis=1)).all()),
        "consistency": 100.0 * (ours.sum() / without.sum() - 1.0),
        **excess,
        **variance,
    }


def _mean(rows: pd.DataFrame, method: str, column: str) -> float:
    return float(rows.loc[rows["method"] == method, column].mean())


def describe(table: pd.DataFrame) -> str:
    """What the lines come to, in a few points."""
    excess, magic = table["icm, null"].dropna(), table["magic-log, null"]
    above = table.loc[table["icm, null"] > ASKED_EXCESS, ["set", "icm, null"]]
    exceptions = ", ".join(f"{name}: {value:.3f}" for name, value in above.itertuples(index=False))
    gain = 100.0 * (table["gain"] - 1.0)
    return "\n".join(
        [
            f"- ICM predicts held-out molecules better than every other method on {int(table['ahead'].sum())} of "
            f"{len(table)} real sets of counts (no denoising, MAGIC, a DCA-style autoencoder and truncated SVDs on "
            f"all, scVI on {int(table['scvi'].sum())}).",
            f"- It gains {gain.min():.0f} to {gain.max():.0f}% more than the best of them over one profile for all "
            f"cells: {gain.median():.0f}% in the median, {gain.mean():.0f}% on average, more than "
            f"{100 * (ASKED_GAIN - 1):.0f}% on {int((table['gain'] > ASKED_GAIN).sum())} sets.",
            f"- Genes that were shuffled over the cells stay uncorrelated with the others: denoising adds at most "
            f"{ASKED_EXCESS} to their mean absolute correlation on {int((excess <= ASKED_EXCESS).sum())} of "
            f"{len(excess)} sets{f' ({exceptions})' if exceptions else ''}; "
            f"MAGIC adds {magic.min():.2f} to {magic.max():.2f}.",
            f"- With `transport`, genes have {_quantiles(table['icm-transport, variance'])} of the variance that their "
            f"signal has, with MAGIC {_quantiles(table['magic-log, variance'])} (four fifths of the sets).",
        ]
    )


def _quantiles(values: pd.Series) -> str:
    return " to ".join(f"{values.quantile(q):.2f}" for q in (0.1, 0.9))


def _markdown(table: pd.DataFrame) -> str:
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for row in table.to_dict("records"):
        gain = f"{row['gain']:.3f}" if row["gain"] > ASKED_GAIN else f"**{row['gain']:.3f}**"
        cells = [
            row["set"],
            f"`{row['group']}.csv`",
            f"{row['cells']:,} x {row['genes']:,}",
            str(row["splits"]),
            row["best peer"],
            gain,
            f"{row['consistency']:+.2f}%",
            *(
                _excess(row[f"{method}, {kind}"])
                for method in ("icm", "icm-transport")
                for kind in ("null", "null-count")
            ),
            _or_nothing(row["magic-log, null"], "{:.3f}"),
            *(_or_nothing(row[f"{method}, variance"], "{:.2f}") for method in ("icm-transport", "magic-log")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _excess(value: float) -> str:
    return _or_nothing(value, "**{:.3f}**" if value > ASKED_EXCESS else "{:.3f}")


def _or_nothing(value: float, form: str) -> str:
    return "" if np.isnan(value) else form.format(value)


def draw(table: pd.DataFrame) -> Figure:
    """Gain of ICM on every set, largest first; 1 is the best peer on that set."""
    figure = Figure(figsize=(7.5, 1.2 + 0.15 * len(table)), layout="constrained")
    axis = figure.subplots()
    place = np.arange(len(table))
    axis.hlines(place, 1.0, table["gain"], color="#cc3311", alpha=0.35, linewidth=2)
    axis.plot(table["gain"], place, "o", color="#cc3311", markersize=4)
    names = [f"{row['set']}  ({row['cells']:,} x {row['genes']:,})" for row in table.to_dict("records")]
    axis.set_yticks(place, names, fontsize=6)
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks([1, 1.2, 1.5, 2, 3, 5, 8])
    axis.set_xlabel(
        "gain in held-out molecules over one profile for all cells\n(1: the best other method on that set)", fontsize=8
    )
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", linewidth=0.4)
    return figure


def main() -> None:
    """Read, describe, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.every_set", description=__doc__)
    parser.parse_args()
    table = every_set(read_measured())
    points = describe(table)
    print(points)
    replace_table(_ROOT / "benchmarks" / "README.md", f"{points}\n\n{_markdown(table)}", name="every-set")
    replace_table(_ROOT / "README.md", points, name="every-set")
    draw(table).savefig(_MEASURED / "every_set.png", dpi=150)


if __name__ == "__main__":
    main()
