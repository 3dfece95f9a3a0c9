"""``python -m benchmarks.counts.consistency``: what does the consistency term add, and how should it be imposed?

Trains the model four ways on each set: the anchor alone (``none``), with the consistency term by gradients
(``gradient``), with the prior of the latent factors by EM (``em``), and with both. Scores held-out molecules by the
mean and the gene variances by transport. A row that exists is not run again (``--again`` runs it); the table between
the markers of ``--readme`` is written from all rows.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.counts.data import load
from benchmarks.counts.scores.truth import component_variances
from benchmarks.counts.task import Task, make_task
from benchmarks.report import keep, markdown, provenance, replace_table

from scif.metrics import gene_variances, poisson_nll, pooled_profile
from scif.model import ICM

__all__ = ["MODES", "SETS", "run", "table"]

RESULTS = Path(__file__).parent / "measured" / "consistency" / "results.csv"
MODES = ("none", "gradient", "em", "both")
SETS = (
    "pbmc68k",
    "pbmc68k-part-350x765",
    "sc_celseq2",
    "sc_celseq2-part-274x3000",
    "sc_celseq2-part-120x3000",
    "mouse_bladder_cell_select_2100",
    "mouse_bladder_cell_select_2100-part-2100x2000",
    "mouse_bladder_cell_select_2100-part-800x3000",
    "mouse_bladder_cell_select_2100-part-300x2000",
    "paul15",
    "paul15-part-1000x1000",
    "paul15-part-400x3451",
    "simulated-500-1000x1000",
    "simulated-2000-1000x1000",
    "simulated-8000-1000x1000",
)
_KEYS = ("dataset", "seed", "mode")


def run(name: str, mode: str, *, directory: Path | None, seed: int) -> dict[str, Any]:
    """Train one way on one split of one set; returns its row."""
    task = make_task(load(name, directory), "held-out", seed=seed)
    assert task is not None
    adata = ad.AnnData(task.train.astype(np.float32))
    wall, cpu = time.perf_counter(), time.process_time()
    model = _trained(adata, mode, seed=seed)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    row: dict[str, Any] = {"dataset": name, "seed": seed, "mode": mode}
    row |= {"cells": task.train.shape[0], "genes": task.train.shape[1]}
    row |= {"seconds": seconds, "cpu_seconds": cpu_seconds}
    return row | _scores(model, task) | provenance()


def _trained(adata: ad.AnnData, mode: str, *, seed: int) -> ICM:
    ICM.setup_anndata(adata)
    model = ICM(adata, seed=seed)
    model.train(consistency=mode, enable_progress_bar=False)  # type: ignore[arg-type]
    return model


def _scores(model: ICM, task: Task) -> dict[str, float]:
    scale = task.test.sum() / task.train.sum()
    mean, transport = (model.get_denoised(estimator=kind) for kind in ("mean", "transport"))
    pooled = poisson_nll(pooled_profile(task.train), task.test, scale=scale)
    row = {"drop": pooled - poisson_nll(mean, task.test, scale=scale)}
    row["transport_drop"] = pooled - poisson_nll(transport, task.test, scale=scale)
    for kind, values in (("mean", mean), ("transport", transport)):
        row[f"{kind}_variance"] = gene_variances(values, task.train, task.test).kept()
        if task.truth is not None:
            ratio = component_variances(values, task.truth)
            row[f"{kind}_components"] = int((np.abs(ratio - 1) <= 0.1).sum())
    return row


def table(rows: pd.DataFrame) -> str:
    """One line a set, means over splits: gains relative to the anchor alone, seconds relative to EM alone."""
    means = rows.groupby(["dataset", "mode"])[
        ["drop", "mean_variance", "transport_variance", "transport_drop", "cpu_seconds"]
    ].mean()
    lines = []
    for name in (name for name in SETS if name in means.index.get_level_values("dataset")):
        found = means.loc[name]
        first = rows[rows["dataset"] == name].iloc[0]
        line: dict[str, Any] = {"set": name, "cells x genes": f"{first['cells']:,} x {first['genes']:,}"}
        line["splits"] = str(rows.loc[rows["dataset"] == name, "seed"].nunique())
        for mode in MODES[1:]:
            line[f"gain, {mode}"] = _relative(found, mode, "none", "drop")
        line["both against em"] = _relative(found, "both", "em", "drop")
        for mode in (mode for mode in MODES if mode in found.index):
            line[f"transport's variance, {mode}"] = f"{found.loc[mode, 'transport_variance']:.2f}"
        for mode in ("none", "gradient", "both"):
            line[f"time, {mode} / em"] = _ratio(found, mode, "em", "cpu_seconds")
        lines.append(line)
    return markdown(pd.DataFrame(lines).fillna(""), digits=(0,) * len(lines[0]))


def _relative(found: pd.DataFrame, mode: str, reference: str, column: str) -> str:
    if not {mode, reference} <= set(found.index):
        return ""
    return f"{100 * (found.loc[mode, column] / found.loc[reference, column] - 1):+.2f}%"


def _ratio(found: pd.DataFrame, mode: str, reference: str, column: str) -> str:
    if not {mode, reference} <= set(found.index):
        return ""
    return f"{found.loc[mode, column] / found.loc[reference, column]:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then print and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.consistency", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of .h5ad, .h5 and .count.csv.gz files")
    parser.add_argument("--datasets", nargs="+", default=list(SETS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--again", action="store_true", help="run rows that exist, too")
    parser.add_argument("--report-only", action="store_true", help="only the table, from the rows that exist")
    parser.add_argument("--readme", type=Path, help="put the table between this file's markers 'consistency'")
    options = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = set()
    if RESULTS.exists() and not options.again:
        known = set(pd.read_csv(RESULTS)[list(_KEYS)].itertuples(index=False, name=None))
    for name in [] if options.report_only else options.datasets:
        for seed in options.seeds:
            for mode in options.modes:
                if (name, seed, mode) not in known:
                    row = run(name, mode, directory=options.data, seed=seed)
                    keep(RESULTS, pd.DataFrame([row]), keys=_KEYS)
                    print(f"{name} {seed} {mode}: drop {row['drop']:.5f} in {row['seconds']:.1f} s", flush=True)
    text = table(pd.read_csv(RESULTS))
    print(text)
    if options.readme:
        replace_table(options.readme, text, name="consistency")


if __name__ == "__main__":
    main()
