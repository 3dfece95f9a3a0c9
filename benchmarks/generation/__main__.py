"""``python -m benchmarks.generation``: train, measure, and write the table and the figure beside this file."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.report import keep, markdown, replace_table
from matplotlib.figure import Figure
from torch import Tensor

from scif.core import (
    GCT,
    ConsistencyFunction,
    Coupling,
    GrowingSteps,
    Independent,
    Karras,
    MinibatchOT,
    PseudoHuber,
    fit,
    sliced_wasserstein,
    transport,
)
from scif.nn import TimeMLP

HERE = Path(__file__).parent
SAMPLES, REPEATS = 2000, 20


def eight_gaussians(n: int, generator: torch.Generator) -> Tensor:
    """Eight modes of standard deviation 0.1 on the unit circle."""
    angle = torch.randint(8, (n,), generator=generator) * math.pi / 4
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, generator=generator)


def two_moons(n: int, generator: torch.Generator) -> Tensor:
    """Two half circles that interlock, blurred by 0.07."""
    angle = torch.rand(n, generator=generator) * math.pi
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    points = torch.where(torch.rand(n, 1, generator=generator) < 0.5, upper, -upper)
    return points + 0.07 * torch.randn(n, 2, generator=generator)


DATA: dict[str, Callable[[int, torch.Generator], Tensor]] = {"eight Gaussians": eight_gaussians, "two moons": two_moons}
COUPLINGS: dict[str, Callable[[], Coupling]] = {"independent": Independent, "optimal transport": MinibatchOT}
RUNS = [f"{data}, {coupling}" for data in DATA for coupling in COUPLINGS]


def run(name: str, seed: int, *, steps: int) -> tuple[dict[str, Any], np.ndarray]:
    """Train a one-step generator, and compare its samples with fresh data."""
    data, coupling = name.split(", ")
    generator = torch.Generator().manual_seed(seed)
    x = DATA[data](20_000, generator)
    torch.manual_seed(seed)
    start = time.process_time()
    model = ConsistencyFunction(TimeMLP(2, hidden=64, depth=2), data_scale=float(x.std()))
    objective = GCT(
        COUPLINGS[coupling](),
        schedule=Karras(),
        num_steps=GrowingSteps(5, 40, over=max(2 * steps // 3, 1)),
        distance=PseudoHuber(0.03),
    )
    averaged = fit(model, objective, x, max_steps=steps, batch_size=500, lr=5e-3, ema_decay=0.99, seed=seed)
    cpu = time.process_time() - start
    distances, references = [], []
    for _ in range(REPEATS):
        first, second = DATA[data](SAMPLES, generator), DATA[data](SAMPLES, generator)
        drawn = transport(averaged, torch.randn(SAMPLES, 2, generator=generator)).value
        distances.append(sliced_wasserstein(drawn, second, num_projections=64, generator=generator))
        references.append(sliced_wasserstein(first, second, num_projections=64, generator=generator))
    figures = {
        "method": name,
        "seed": seed,
        "steps": steps,
        "cpu_s": cpu,
        "distance": float(np.mean(distances)),
        "reference": float(np.mean(references)),
        "ratio": float(np.mean(distances) / np.mean(references)),
    }
    return figures, torch.stack([second, drawn]).numpy()


def draw(samples: dict[str, np.ndarray]) -> Figure:
    """Fresh data and samples of one step, side by side."""
    figure = Figure(figsize=(3 * 2.4, 2 * 2.4), layout="constrained")
    for row, data in zip(figure.subplots(2, 3), DATA, strict=True):
        there = {coupling: samples[name] for coupling in COUPLINGS if (name := f"{data}, {coupling}") in samples}
        if not there:
            continue
        panels = {"fresh data": next(iter(there.values()))[0]}
        panels |= {f"one step, {coupling}": pair[1] for coupling, pair in there.items()}
        for axis, (title, points) in zip(row, panels.items(), strict=False):
            axis.plot(*points.T, ".", color="#222255" if title == "fresh data" else "#cc3311", markersize=1)
            axis.set(aspect="equal", xticks=[], yticks=[], xlim=(-1.9, 1.9), ylim=(-1.5, 1.5))
            axis.set_title(title, fontsize=8)
            axis.spines[:].set_visible(False)
    return figure


def summary(results: pd.DataFrame) -> str:
    """One row a run: means over seeds, and the worst ratio."""
    by_run = results.groupby("method", sort=False)
    table = pd.DataFrame(
        {
            "samples to data": by_run["distance"].mean(),
            "data to data": by_run["reference"].mean(),
            "ratio": by_run["ratio"].mean(),
            "worst ratio": by_run["ratio"].max(),
            "CPU (s)": by_run["cpu_s"].mean(),
        }
    )
    return markdown(table.rename_axis("data, coupling").reset_index(), digits=(0, 4, 4, 2, 2, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=HERE, help="runs found there are kept unless they are run again")
    options = parser.parse_args()
    stored = options.out / "samples.npz"
    for name in options.runs:
        for seed in options.seeds:
            figures, samples = run(name, seed, steps=options.steps)
            print(figures, flush=True)
            keep(options.out / "results.csv", pd.DataFrame([figures]), RUNS)
            if seed == 0:
                old = dict(np.load(stored)) if stored.exists() else {}
                np.savez_compressed(stored, **old | {name: samples.astype(np.float16)})
    draw(dict(np.load(stored))).savefig(options.out / "generation.png", dpi=150)
    replace_table(options.out / "README.md", summary(pd.read_csv(options.out / "results.csv")))


if __name__ == "__main__":
    main()
