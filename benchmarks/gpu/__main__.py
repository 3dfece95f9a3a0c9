"""``python -m benchmarks.gpu``: what training the count model takes on a GPU, and how much of it a step uses."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from benchmarks.gpu import counts, step
from benchmarks.report import keep, markdown, replace_table

HERE = Path(__file__).parent
PARTS = ("counts", "step")
KEYS = {"counts": ("dataset", "method"), "step": ("form", "cells", "genes")}
COUNTS = ("mouse_bladder_cell_select_2100", "simulated-3000-50000x5000")


def rows_of(part: str, options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """What one part measures, row by row."""
    if part == "step":
        return step.measure(options.forms)
    return counts.measure(options.datasets, options.methods, directory=options.data)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the bladder counts")
    parser.add_argument("--out", type=Path, default=HERE, help="where one file of results for each part goes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--methods", nargs="+", choices=list(counts.METHODS), default=list(counts.METHODS))
    parser.add_argument("--forms", nargs="+", choices=list(step.FORMS), default=list(step.FORMS))
    parser.add_argument("--datasets", nargs="+", default=list(COUNTS))
    parser.add_argument("--report-only", action="store_true", help="only put the tables of --out into README.md")
    options = parser.parse_args()
    if not options.report_only:
        about = {
            "date": str(datetime.date.today()),
            "gpu": torch.cuda.get_device_name(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
        for part in options.parts:
            for row in rows_of(part, options):
                print(json.dumps(row), flush=True)
                keep(options.out / f"{part}.csv", pd.DataFrame([row | about]), keys=KEYS[part])
    for name, summary in SUMMARIES.items():
        if (options.out / f"{name}.csv").exists():
            replace_table(HERE / "README.md", summary(pd.read_csv(options.out / f"{name}.csv")), name=name)


def summary_of_counts(rows: pd.DataFrame) -> str:
    """Seconds, memory, and the drop of the held-out loss below the pooled profile's next to ICM's on the GPU."""
    table = []
    for _, row in rows.iterrows():
        same = rows[rows["dataset"] == row["dataset"]].set_index("method")["drop"]
        table.append(
            {
                "data": f"{row['dataset']}, {row['cells']:,} x {row['genes']:,}",
                "method": row["method"],
                "fit (s)": row["fit_s"],
                "denoise (s)": row["denoise_s"],
                "GPU memory (MiB)": row["gpu_mb"],
                "gain relative to ICM on the GPU": row["drop"] / same["ICM, GPU"],
            }
        )
    return markdown(pd.DataFrame(table), digits=(0, 0, 1, 1, 0, 4)) + _machine(rows)


def summary_of_steps(rows: pd.DataFrame) -> str:
    """Milliseconds of a step, and the bandwidth that this is as a share of a copy's."""
    ms = rows["ms"] if "failed" not in rows else rows["ms"].where(rows["failed"].isna())
    share = 100.0 * rows["bytes"] / (1e-3 * ms * rows["copy_bytes_s"])
    rows = rows.assign(
        cell=[f"{m:.2f} ms, {s:.1f}%" if m == m else "failed" for m, s in zip(ms, share, strict=True)],
        size=[f"{c:,} x {g:,}" for c, g in zip(rows["cells"], rows["genes"], strict=True)],
    )
    table = rows.pivot(index="form", columns="size", values="cell").fillna("")
    table = table.reindex(index=list(dict.fromkeys(rows["form"])), columns=list(dict.fromkeys(rows["size"])))
    about = f" A copy moves {rows['copy_bytes_s'].iloc[0] / 1e12:.2f} TB a second, counting bytes read and written."
    return markdown(table.reset_index(), digits=[0] * (1 + table.shape[1])) + _machine(rows) + about


def _machine(rows: pd.DataFrame) -> str:
    one = rows.iloc[0]
    return (
        f"\n\n{one['date']}, one {one['gpu']}, {one['processors']} processor cores, Python {one['python']}, "
        f"torch {one['torch']}."
    )


SUMMARIES: dict[str, Callable[[pd.DataFrame], str]] = {
    "counts": summary_of_counts,
    "step": summary_of_steps,
}

if __name__ == "__main__":
    main()
