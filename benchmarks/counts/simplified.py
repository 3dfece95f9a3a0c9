"""``python -m benchmarks.counts.simplified --data DIR``: what the simplification of the count model cost.

Runs the model as it is on the sets of :mod:`benchmarks.counts.consistency` and compares it with the rows of
``measured/consistency/results.csv``, which were measured on the model before. A row that exists is not run again. The
table goes between the markers ``simplified`` of ``docs/method.md``.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from benchmarks.counts.consistency import RESULTS as BEFORE
from benchmarks.counts.consistency import SETS, run
from benchmarks.report import keep, markdown, replace_table

__all__ = ["table"]

RESULTS = Path(__file__).parent / "measured" / "simplified.csv"
PAGE = Path(__file__).parents[2] / "docs" / "method.md"
_KEYS = ("dataset", "seed")
_SHOWN = {"drop": "gain", "transport_drop": "gain of transport"}


def table(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """One line a set: changes of the gains, and variances that transport keeps, with the median change below."""
    old = before[before["mode"] == "em"].set_index(list(_KEYS))
    new = after.set_index(list(_KEYS))
    lines, changes = [], []
    for key in (key for name in SETS for key in new.index if key[0] == name and key in old.index):
        first, last = old.loc[key], new.loc[key]
        change = {title: 100 * (last[column] / first[column] - 1) for column, title in _SHOWN.items()}
        changes.append(change["gain"])
        line = {"set": key[0]} | {title: f"{value:+.2f}%" for title, value in change.items()}
        line["variance of transport"] = f"{first['transport_variance']:.2f} to {last['transport_variance']:.2f}"
        line["CPU time"] = f"{last['cpu_seconds'] / first['cpu_seconds']:.2f}"
        lines.append(line)
    median = pd.Series(changes).median()
    text = markdown(pd.DataFrame(lines), digits=(0,) * len(lines[0]))
    return f"{text}\n\nThe median change of the gain is {median:+.2f}%, the least {min(changes):+.2f}%."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.simplified", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of .h5ad, .h5 and .count.csv.gz files")
    parser.add_argument("--datasets", nargs="+", default=list(SETS))
    parser.add_argument("--again", action="store_true", help="run rows that exist, too")
    options = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    known = set(pd.read_csv(RESULTS)["dataset"]) if RESULTS.exists() and not options.again else set()
    for name in (name for name in options.datasets if name not in known):
        row = run(name, "em", directory=options.data, seed=0)
        keep(RESULTS, pd.DataFrame([row]), keys=_KEYS)
        print(f"{name}: drop {row['drop']:.5f} in {row['seconds']:.1f} s", flush=True)
    text = table(pd.read_csv(BEFORE), pd.read_csv(RESULTS))
    print(text)
    replace_table(PAGE, text, name="simplified")


if __name__ == "__main__":
    main()
