"""``python -m benchmarks.counts.cost --data DIR``: time and memory of ICM beside MAGIC and scVI, in turns.

Give it a machine that does nothing else. Rows are added to ``measured/cost/results.csv`` with the day and the
processor, for how many times as long one takes as the other depends on it; the table goes into
``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from pathlib import Path

import pandas as pd
from benchmarks.counts.data import load
from benchmarks.counts.methods import METHODS
from benchmarks.counts.run import run_one
from benchmarks.counts.task import make_task
from benchmarks.report import keep, markdown, replace_table
from joblib import cpu_count

__all__ = ["measure", "summary"]

_RESULTS = Path(__file__).parent / "measured" / "cost" / "results.csv"
_README = Path(__file__).parents[1] / "README.md"
_REFERENCES = {"scvi": "scVI", "magic-log": "MAGIC"}


def measure(name: str, methods: list[str], *, directory: Path | None, rounds: int) -> pd.DataFrame:
    """Fit and denoise the training part of one split by each method in turn, ``rounds`` times over."""
    task = make_task(load(name, directory), "held-out", seed=0)
    assert task is not None  # held-out molecules apply to every set
    rows = []
    for turn in range(rounds):
        for method in methods:
            result = run_one(task, method, 0)
            assert result is not None  # an oracle is no choice here
            fit, denoise = result["fit"], result["denoise"]
            rows.append(
                {
                    "day": datetime.date.today().isoformat(),
                    "processor": _processor(),
                    "cores": cpu_count(),
                    "dataset": name,
                    "cells": task.train.shape[0],
                    "genes": task.train.shape[1],
                    "method": method,
                    "turn": turn,
                    "fit_seconds": fit["seconds"],
                    "denoise_seconds": denoise["seconds"],
                    "peak_mb": max(fit["peak_mb"], denoise["peak_mb"]),
                    "load_average": result["load_average"],
                }
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def summary(results: pd.DataFrame) -> str:
    """Mean over turns of each day, and as ratios to what scVI and MAGIC took that day on that set."""
    results = results.assign(seconds=results["fit_seconds"] + results["denoise_seconds"])
    lines = []
    for (day, processor, cores, name), part in results.groupby(
        ["day", "processor", "cores", "dataset"], sort=False, dropna=False
    ):
        means = part.groupby("method", sort=False)[["seconds", "peak_mb"]].mean()
        for method, row in means.iterrows():
            line = {
                "day, machine": f"{day}, {cores} cores of {processor}",
                "data": f"{name}, {part['cells'].iloc[0]:,} x {part['genes'].iloc[0]:,}",
                "method": METHODS[str(method)].label,
                "seconds": f"{row['seconds']:.1f}",
                "peak memory (MiB)": f"{row['peak_mb']:,.0f}",
            }
            for reference, label in _REFERENCES.items():
                times = row / means.loc[reference] if reference in means.index else None
                line[f"time, memory relative to {label}"] = (
                    "" if times is None else f"{times['seconds']:.2f}, {times['peak_mb']:.2f}"
                )
            lines.append(line)
    return markdown(pd.DataFrame(lines), digits=(0,) * 7)


def main() -> None:
    """Measure, add, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.cost", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of the data set, unless it is a simulated one")
    parser.add_argument("--dataset", help="its name; without it the table is written anew, and nothing is run")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=["magic-log", "icm"], metavar="METHOD")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if options.dataset:
        rows = measure(options.dataset, options.methods, directory=options.data, rounds=options.rounds)
        keep(_RESULTS, rows, keys=("day", "processor", "dataset", "method", "turn"))
    replace_table(_README, summary(pd.read_csv(_RESULTS)), name="cost")


if __name__ == "__main__":
    main()
