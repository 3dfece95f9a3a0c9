"""``python -m benchmarks.counts.tuned``: the gain of ICM against peers that choose as it does, from the rows kept.

Peers are tuned on the inner split of ``methods/tuned.py``. Rows of a results folder join ``measured/tuned.csv`` and
``measured/model/icm.csv`` with ``--adopt FILE``, a ``runs.csv`` of ``python -m benchmarks.counts``. Writes the table
into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.counts.every_set import read_measured
from benchmarks.counts.methods import METHODS
from benchmarks.report import markdown, replace_table

__all__ = ["RESIDUAL", "TUNED", "table"]

_README = Path(__file__).parents[1] / "README.md"
_KEPT = Path(__file__).parent / "measured" / "tuned.csv"
_MODEL = Path(__file__).parent / "measured" / "model" / "icm.csv"
"""ICM as it is now. Tables over all sets keep the rows that were measured together, which other files hold."""
_KEYS = ["dataset", "kind", "seed", "method"]
SETS = {
    "pbmc68k": "PBMC",
    "sc_celseq2": "CEL-seq2",
    "mouse_bladder_cell_select_2100": "bladder",
    "paul15": "paul15",
    "simulated-500": "simulated, 500",
    "simulated-2000": "simulated, 2,000",
    "simulated-8000": "simulated, 8,000",
}
TUNED = ["svd-tuned", *(name for name, method in METHODS.items() if method.kind == "tuned")]
RESIDUAL = ["svd-mixed-residual", *(name for name, method in METHODS.items() if method.kind == "with residual")]
_SEED = 0  # of the split on which the tuned peers ran


def table(rows: pd.DataFrame) -> str:
    """One line a method, one column a set: the drop below the pooled profile over that of the best default peer."""
    chosen = rows[(rows["kind"] == "held-out") & (rows["seed"] == _SEED) & rows["dataset"].isin(list(SETS))]
    nll = chosen.pivot_table(index="method", columns="dataset", values="poisson_nll")
    nll = nll[[name for name in SETS if name in nll]]
    drop = nll.loc["pooled"] - nll
    default = [name for name in drop.index if METHODS[name].kind == "peer" and name not in TUNED]
    gain = drop / drop.loc[default].max()
    lines = [_line("best peer with its defaults", [METHODS[drop.loc[default, c].idxmax()].label for c in gain])]
    for names in (TUNED, RESIDUAL):
        for name in (name for name in names if name in gain.index):
            lines.append(_line(METHODS[name].label, [_number(value) for value in gain.loc[name]]))
    for name in ("icm", "icm-transport", "truth"):
        lines.append(_line(METHODS[name].label, [_number(value) for value in gain.loc[name]]))
    for label, names in (("tuned peer", [*default, *TUNED]), ("tuned peer with our residual", RESIDUAL)):
        best = drop.loc[[name for name in names if name in drop.index]].max()
        ratios = drop.loc["icm"] / best
        lines.append(_line(f"**ICM over the best {label}**", [f"**{value:.3f}**" for value in ratios]))
    found = pd.DataFrame(lines, columns=["method", *(SETS[name] for name in gain)])
    return markdown(found, digits=(0,) * found.shape[1])


def _line(label: str, cells: list[str]) -> list[str]:
    return [label, *cells]


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _current(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the model as it is now in place of earlier ones."""
    return _replaced(rows, _read(_MODEL)) if _MODEL.exists() else rows


def _adopt(path: Path) -> None:
    """Keep the rows of tuned peers and of ICM, in place of earlier ones of the same task."""
    rows = _read(path)
    peers = rows["method"].isin([*TUNED, *RESIDUAL]) & ~rows["method"].isin(["svd-tuned", "svd-mixed-residual"])
    for kept, new in ((_KEPT, rows[peers]), (_MODEL, rows[rows["method"].isin(["icm", "icm-transport"])])):
        if len(new):
            kept.parent.mkdir(exist_ok=True)
            both = _replaced(_read(kept), new) if kept.exists() else new
            both.drop(columns="gain", errors="ignore").dropna(axis=1, how="all").to_csv(kept, index=False)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _replaced(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    again = old.set_index(_KEYS).index.isin(new.set_index(_KEYS).index)
    return pd.concat([old[~again], new], ignore_index=True)


def main() -> None:
    """Adopt rows if asked to; print the table and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.tuned", description=__doc__)
    parser.add_argument(
        "--adopt", type=Path, nargs="+", default=[], help="runs.csv with new rows of tuned peers or ICM"
    )
    for path in parser.parse_args().adopt:
        _adopt(path)
    text = table(_current(read_measured()))
    print(text)
    replace_table(_README, text, name="tuned")


if __name__ == "__main__":
    main()
