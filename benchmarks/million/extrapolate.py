"""``python -m benchmarks.million.extrapolate``: what more cells cost, computed from the measured figures."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from benchmarks.report import markdown, replace_table

HERE = Path(__file__).parent
#: Cells whose cost is computed, and passes over them that the defaults make.
CELLS, EPOCHS = (1_000_000, 10_000_000, 100_000_000), 4
#: Stages whose time grows with the cells: one pass, and as many as epochs. The others take some thousand cells.
ONCE, EACH_EPOCH = "start", "network"
#: Memory of the process that has loaded the libraries and read no cell: that of plain reading.
EMPTY = "plain read"


def costs(results: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """Bytes, hours, memory and machines for each number of cells.

    Parameters
    ----------
    results
        Rows of ``results.csv``, one a step.
    stages
        Seconds of each stage of a training of one epoch.
    """
    rows, seconds = results.set_index("method"), stages.groupby("stage")["seconds"].sum()
    measured = float(rows.loc["train", "cells"])
    fixed = float(seconds.drop([ONCE, EACH_EPOCH]).sum())
    epoch, start = seconds[EACH_EPOCH] / measured, seconds[ONCE] / measured
    setup = rows.loc["set up", "seconds"] / measured
    denoise = rows.loc["write", "seconds"] / measured
    held = (rows.loc[["set up", "train", "write"], "peak_mb"].max() - rows.loc[EMPTY, "peak_mb"]) / measured
    lines = []
    for cells in CELLS:
        train = (fixed + cells * (setup + start + EPOCHS * epoch)) / 3600
        write = cells * denoise / 3600
        lines.append(
            {
                "cells": f"{cells:,}",
                "counts (GB)": cells * rows.loc["train", "bytes"] / measured / 1e9,
                "denoised, dense (GB)": cells * rows.loc["write", "bytes"] / measured / 1e9,
                "set up and train (h)": train,
                "denoise, one machine (h)": write,
                "denoise, 20 machines (h)": write / 20,
                "memory of one process, at most (GB)": (rows.loc[EMPTY, "peak_mb"] + held * cells) * 2**20 / 1e9,
                "machines to denoise within a day": f"{max(1, -int(-write // 24))}",
            }
        )
    return pd.DataFrame(lines)


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.million.extrapolate", description=__doc__).parse_args()
    table = costs(pd.read_csv(HERE / "results.csv"), pd.read_csv(HERE / "stages.csv"))
    replace_table(HERE / "README.md", markdown(table, digits=(0, 0, 0, 1, 1, 2, 0, 0)), name="more")


if __name__ == "__main__":
    main()
