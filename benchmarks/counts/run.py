"""Run what has not been run: one JSON file per data set, kind of task, seed and method."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.counts.data import load
from benchmarks.counts.methods import METHODS
from benchmarks.counts.scores import score
from benchmarks.counts.task import KINDS, Task, make_task
from benchmarks.report import PROVENANCE, provenance

__all__ = ["adopt", "read_results", "run", "run_one"]

_ROOT = Path(__file__).resolve().parents[2]


def run(
    names: Sequence[str],
    methods: Sequence[str],
    *,
    directory: Path | None,
    out: Path,
    seeds: Sequence[int],
    kinds: Sequence[str] = KINDS,
    again: bool = False,
    report: Any = print,
) -> int:
    """Run each method on each task that has no result yet (or ``again``); returns the number of failures."""
    failures = 0
    for name in names:
        dataset = None
        for seed, kind in _rounds(seeds, kinds):
            folder = out / "cache" / name / f"{kind}-{seed}"
            known = {path.stem for path in (*folder.glob("*.json"), *folder.glob("*.none"))}
            missing = [method for method in methods if again or method not in known]
            if not missing:
                continue
            dataset = dataset or load(name, directory)
            task = make_task(dataset, kind, seed=seed)
            folder.mkdir(parents=True, exist_ok=True)
            for method in missing:
                try:
                    result = None if task is None else run_one(task, method, seed)
                except (subprocess.CalledProcessError, FileNotFoundError) as error:
                    failures += 1
                    report(f"{name} {kind} {seed} {method}: failed, {error}")
                    continue
                if task is None or result is None:
                    (folder / f"{method}.none").touch()
                    continue
                key = {"dataset": name, "kind": kind, "seed": seed, "method": method, "shape": task.train.shape}
                (folder / f"{method}.json").write_text(json.dumps(key | result | provenance(), indent=1))
                headline = result["scores"].get("poisson_nll", result["scores"].get("null_correlation"))
                seconds = result["fit"]["seconds"] + result["denoise"]["seconds"]
                took = "" if math.isnan(seconds) else f" in {seconds:.1f} s"
                report(f"{name} {kind} {seed} {method}: {headline:.5f}{took}")
    return failures


def _rounds(seeds: Sequence[int], kinds: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Held-out molecules for every seed; the two costly extras for the first seed only."""
    for seed in seeds:
        for kind in kinds:
            if kind == "held-out" or seed == seeds[0]:
                yield seed, kind


def run_one(task: Task, method: str, seed: int) -> dict[str, Any] | None:
    """Fit in a process of its own, then score its output; an oracle's without a cost, ``None`` where it has none."""
    if METHODS[method].kind == "oracle":
        expected = METHODS[method].load()(task)
        if expected is None:
            return None
        free = dict.fromkeys(("seconds", "cpu_seconds", "peak_mb"), math.nan)
        return {"fit": free, "denoise": free, "load_average": math.nan, "scores": score(expected, task)}
    with tempfile.TemporaryDirectory() as scratch:
        train, denoised, usage = (Path(scratch) / file for file in ("train.npz", "denoised.npy", "usage.json"))
        sp.save_npz(train, task.train)
        subprocess.run(
            [_interpreter(method), "-m", "benchmarks.counts.worker", method, train, denoised, usage, str(seed)],
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return json.loads(usage.read_text()) | {"scores": score(np.load(denoised), task)}


def _interpreter(method: str) -> str:
    if METHODS[method].environment == "magic":
        return str(Path(os.environ.get("SCIF_MAGIC_ENV", "/tmp/scif-magic-venv")) / "bin" / "python")
    return sys.executable


def read_results(out: Path) -> list[dict[str, Any]]:
    """Every result there is."""
    return [json.loads(path.read_text()) for path in sorted((out / "cache").glob("*/*/*.json"))]


def adopt(known: Path, out: Path) -> int:
    """Take rows of an earlier ``runs.csv`` for results where there are none; returns how many."""
    taken = 0
    usage = [f"{step}_{key}" for step in ("fit", "denoise") for key in ("seconds", "cpu_seconds", "peak_mb")]
    derived = {"gain", "seconds", "cpu_seconds", "peak_mb"}
    described = {"dataset", "kind", "seed", "method", "cells", "genes", "load_average", *PROVENANCE}
    table = pd.read_csv(known, keep_default_na=False, na_values=[""])  # "null" is a kind
    for row in table[table["method"].isin(METHODS)].to_dict("records"):
        path = out / "cache" / row["dataset"] / f"{row['kind']}-{row['seed']}" / f"{row['method']}.json"
        if path.exists():
            continue
        scores = {k: v for k, v in row.items() if k not in {*usage, *derived, *described} and not pd.isna(v)}
        steps = {
            step: {name.removeprefix(f"{step}_"): row[name] for name in usage if name.startswith(step)}
            for step in ("fit", "denoise")
        }
        key = {name: row[name] for name in ("dataset", "kind", "seed", "method", "load_average")}
        key |= {name: row[name] for name in PROVENANCE if isinstance(row.get(name), str)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            json.dumps(key | {"shape": [row["cells"], row["genes"]]} | steps | {"scores": scores}, indent=1)
        )
        taken += 1
    return taken
