"""``python -m benchmarks.fluids``: simulate, train, measure, and write the table and the figure beside this file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from benchmarks.fluids.cases import CASES, Task, make_task
from benchmarks.fluids.figure import draw
from benchmarks.fluids.methods import METHODS, Inversion, Settings
from benchmarks.report import markdown, provenance, replace_table
from torch import Tensor

from scif.fields.fluids import divergence, relative_l2, spectrum_error, velocity, vorticity_correlation

HERE = Path(__file__).parent
SHOWN = ["backward integration", "IFM, as published", "ICM, one step", "ICM from backward"]


def score(task: Task, invert: Inversion) -> tuple[dict[str, Any], Tensor]:
    """Figures of an inversion on fresh fields, and its estimates on twice as many points."""
    estimate, doubled = invert(task.test.final), invert(task.doubled.final)
    resimulated = task.case.channel.moments(estimate).mean
    u = velocity(estimate)
    gradient = torch.stack([divergence(part) for part in _gradients(u)]).square().mean().sqrt()
    figures = {
        "relative_l2": float(relative_l2(estimate, task.test.initial).mean()),
        "doubled": float(relative_l2(doubled, task.doubled.initial).mean()),
        "correlation": float(vorticity_correlation(estimate, task.test.initial).mean()),
        "spectrum": float(spectrum_error(estimate, task.test.initial)),
        "misfit": float(relative_l2(resimulated, task.test.final).mean()),
        "divergence": float(divergence(u).square().mean().sqrt() / gradient),
    }
    return figures, doubled


def _gradients(u: Tensor) -> list[Tensor]:
    """Flows whose divergences are the four derivatives of the velocity."""
    zero = torch.zeros_like(u[0])
    return [torch.stack(pair) for part in u for pair in ((part, zero), (zero, part))]


def run(task: Task, methods: list[str], settings: Settings) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """All methods on one task: their figures, and fields for the figure."""
    rows, fields = [], {"observed": task.doubled.final[:16], "truth": task.doubled.initial[:16]}
    for name in methods:
        start, cpu = time.perf_counter(), time.process_time()
        inversions = METHODS[name](task, settings)
        spent = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        for label, invert in inversions.items():
            figures, doubled = score(task, invert)
            rows.append({"case": task.name, "method": label, **figures, **spent})
            fields[label] = doubled[:16]
            print(rows[-1], flush=True)
    return rows, fields


def table(results: pd.DataFrame) -> str:
    """The README's table."""
    columns = {
        "case": "case",
        "method": "method",
        "relative_l2": "relative L2",
        "doubled": "doubled",
        "correlation": "correlation",
        "spectrum": "spectrum",
        "misfit": "misfit",
        "cpu_s": "training, CPU s",
    }
    shown = results[list(columns)].copy()
    for name in list(columns)[2:-1]:  # over many decades
        shown[name] = [f"{value:.3g}" for value in shown[name]]
    return markdown(shown.rename(columns=columns), digits=(0,) * len(columns))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fluids", description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="points along each axis in training")
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps")
    parser.add_argument("--lr", type=float, default=6e-3, help="largest learning rate")
    parser.add_argument("--examples", type=int, default=1024, help="final fields to train on")
    parser.add_argument("--width", type=int, default=16, help="hidden channels of the network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    settings = Settings(options.steps, options.lr, options.width, options.seed, options.accelerator)
    cache = options.out / "results" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in options.cases:
        task = make_task(name, size=options.size, examples=options.examples)
        rows, fields = run(task, options.methods, settings)
        rows = [row | provenance() for row in rows]
        torch.save({"rows": rows, "fields": fields}, cache / f"{name}.pt")
    # cases measured before are kept, so that a long run can be made in parts
    found = {name: torch.load(cache / f"{name}.pt") for name in CASES if (cache / f"{name}.pt").exists()}
    results = pd.DataFrame([row for part in found.values() for row in part["rows"]])
    results.to_csv(options.out / "results.csv", index=False, float_format="%.5g")
    draw({name: part["fields"] for name, part in found.items()}, SHOWN).savefig(options.out / "fluids.png", dpi=150)
    replace_table(options.out / "README.md", table(results))


if __name__ == "__main__":
    main()
