"""``python -m benchmarks.eight_gaussians``: train, measure, and write the table and the figure beside this file."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from benchmarks.report import keep, markdown, replace_table
from matplotlib.figure import Figure
from torch import Tensor, nn

from scif.core import (
    Anchor,
    ConsistencyFunction,
    Distance,
    Inverse,
    InverseConsistency,
    InverseFlowMatching,
    Karras,
    PseudoHuber,
    SquaredError,
    Velocity,
    fit,
)
from scif.core.monitor import collapse, marginal
from scif.core.noise import Gaussian
from scif.nn import TimeMLP

HERE = Path(__file__).parent
SHOWN = 5  # one in five points is drawn
NOISE = Gaussian(0.2)
ANGLES = torch.arange(8) * math.pi / 4
MODES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
COLOURS = {
    "ICM": "#cc3311",
    "ICM, longer": "#bb5566",
    "ICM, longer, anchored": "#aa3377",
    "ICM, constant rate": "#ee99aa",
    "ICM, squared error": "#ee7733",
    "IFM, 11 steps": "#4477aa",
    "IFM, 3 steps": "#009988",
}


@dataclass(frozen=True)
class Method:
    """How to build a model and its objective, for how many steps to train, and what differs from the others."""

    model: Callable[[nn.Module, Tensor], nn.Module]
    objective: Callable[[], Inverse]
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    anchor_weight: float = 0.0


def consistency(net: nn.Module, x1: Tensor) -> nn.Module:
    return ConsistencyFunction.calibrated(net, x1, NOISE)


def icm(distance: Distance) -> Callable[[], InverseConsistency]:
    return lambda: InverseConsistency(NOISE, schedule=Karras(), num_steps=11, distance=distance)


METHODS = {
    "ICM": Method(consistency, icm(PseudoHuber(0.02)), 2000),
    "ICM, longer": Method(consistency, icm(PseudoHuber(0.02)), 5000),
    "ICM, longer, anchored": Method(consistency, icm(PseudoHuber(0.02)), 5000, anchor_weight=0.3),
    "ICM, constant rate": Method(consistency, icm(PseudoHuber(0.02)), 5000, {"final_lr": 1.0}),
    "ICM, squared error": Method(consistency, icm(SquaredError()), 5000),
    "IFM, 11 steps": Method(
        lambda net, x1: Velocity.calibrated(net, x1, NOISE),
        lambda: InverseFlowMatching(NOISE, schedule=Karras(), num_steps=11),
        2500,
    ),
    "IFM, 3 steps": Method(
        lambda net, x1: ConsistencyFunction.calibrated(net, x1, NOISE, skip="mean"),
        lambda: InverseFlowMatching(NOISE, num_steps=3, prediction="x0"),
        5000,
        {"ema_teacher": True},
    ),
}


def points(per_mode: int, seed: int) -> tuple[Tensor, Tensor]:
    """Clean and noisy points."""
    x0 = MODES.repeat(per_mode, 1)
    return x0, NOISE.sample(x0, generator=torch.Generator().manual_seed(seed))


def psnr(x: Tensor, x0: Tensor) -> float:
    """Mean over points of the peak signal-to-noise ratio of each, for a peak of one."""
    return float((-10.0 * (x - x0).square().mean(1).log10()).mean())


class Curve(pl.Callback):
    """PSNR on fresh points during training, against the processor time that training took."""

    def __init__(self, objective: Inverse, x0: Tensor, x1: Tensor, *, every: int) -> None:
        self.objective, self.x0, self.x1, self.every = objective, x0, x1, every
        self.rows: list[dict[str, float]] = []
        self.paused = 0.0
        self.start = time.process_time()

    def on_train_batch_end(self, trainer: pl.Trainer, engine: Any, *_: Any) -> None:
        if trainer.global_step % self.every == 0:
            self.measure(trainer.global_step, engine)

    def measure(self, step: int, engine: Any) -> None:
        before = time.process_time()
        row = {"step": step, "cpu_s": before - self.start - self.paused}
        for name, model in (("psnr", engine.averaged), ("psnr_last", engine.model)):
            with torch.no_grad():
                row[name] = psnr(self.objective.transport(model, self.x1), self.x0)
        self.rows.append(row)
        self.paused += time.process_time() - before


def run(name: str, seed: int, *, share: float) -> tuple[dict[str, Any], pd.DataFrame, Tensor]:
    """Train one method; its figures, its curve, and what it makes of the fresh points."""
    method = METHODS[name]
    steps = max(round(share * method.steps), 1)
    _, x1 = points(1000, seed)
    fresh_x0, fresh_x1 = points(1000, 1000 + seed)
    torch.manual_seed(seed)
    model, objective = method.model(TimeMLP(2, hidden=48, depth=2), x1), method.objective()
    curve = Curve(objective, fresh_x0[:1000], fresh_x1[:1000], every=max(steps // 40, 1))
    settings = {"batch_size": 500, "lr": 1e-2, "ema_decay": 0.99, "seed": seed, "callbacks": [curve]}
    anchored = method.anchor_weight * Anchor(NOISE, fraction=0.9) + objective
    averaged = fit(model, anchored, x1, max_steps=steps, **settings | method.options)
    cpu = time.process_time() - curve.start - curve.paused
    with torch.no_grad():
        estimate, last = (objective.transport(m, fresh_x1) for m in (averaged, model))
    generator = torch.Generator().manual_seed(seed)
    shares = torch.cdist(estimate, MODES).argmin(1).bincount(minlength=8) / len(estimate)
    figures = {
        "method": name,
        "seed": seed,
        "steps": steps,
        "cpu_s": cpu,
        "input_psnr": psnr(fresh_x1, fresh_x0),
        "psnr": psnr(estimate, fresh_x0),
        "psnr_last_weights": psnr(last, fresh_x0),
        "right_mode": float((torch.cdist(estimate, MODES).argmin(1) == torch.arange(8).repeat(1000)).float().mean()),
        "mode_weight_error": float((shares - 0.125).abs().max()),
        "marginal": marginal(fresh_x1, estimate, NOISE, generator=generator).verdict,
        "collapse": collapse(fresh_x1, estimate, NOISE, generator=generator).verdict,
    }
    return figures, pd.DataFrame(curve.rows).assign(method=name, seed=seed), estimate


def draw(results: pd.DataFrame, curves: pd.DataFrame, estimates: dict[str, np.ndarray]) -> Figure:
    """Estimates of some fresh points by the best of each kind, and how all methods get there."""
    figure = Figure(figsize=(11, 3.7), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.35))
    start = points(1000, 1000)[1][::SHOWN].numpy()
    for axis, name in zip(axes, ("ICM", "IFM, 11 steps"), strict=False):
        if name not in estimates:
            continue
        end = estimates[name]
        axis.plot(*np.stack([start, end]).transpose(2, 0, 1), color="#999999", alpha=0.15, linewidth=0.4)
        axis.plot(*start.T, ".", color="#222255", markersize=1)
        axis.plot(*end.T, ".", color=COLOURS[name], markersize=3)
        axis.set(aspect="equal", xticks=[], yticks=[])
        axis.set_title(f"{name}: from observed (dark) to clean", fontsize=9)
        axis.spines[:].set_visible(False)
    for name, colour in COLOURS.items():
        mine = curves[curves["method"] == name]
        for seed, curve in mine.groupby("seed"):
            label = name if seed == mine["seed"].min() else None
            axes[2].plot(curve["cpu_s"], curve["psnr"], color=colour, linewidth=1.5, label=label)
            axes[2].plot(curve["cpu_s"], curve["psnr_last"], color=colour, linewidth=0.4, alpha=0.6)
    for height, words in ((31.0, "asked: 31 dB"), (results["input_psnr"].mean(), "observed")):
        axes[2].axhline(height, color="#bbbbbb", linewidth=0.8, linestyle="--")
        axes[2].text(0.0, height + 0.2, words, color="#888888", fontsize=7)
    axes[2].set(xlabel="processor time (s)", ylabel="mean PSNR of fresh points (dB)")
    axes[2].set_title("averaged weights (thick), last weights (thin)", fontsize=9)
    axes[2].legend(frameon=False, fontsize=8, loc="lower right")
    axes[2].spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eight_gaussians", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--share", type=float, default=1.0, help="share of the training steps, for a quick look")
    parser.add_argument("--out", type=Path, default=HERE, help="runs found there are kept unless they are run again")
    options = parser.parse_args()
    for name in options.methods:
        for seed in options.seeds:
            figures, curve, estimate = run(name, seed, share=options.share)
            print(figures, flush=True)
            keep(options.out / "results.csv", pd.DataFrame([figures]), METHODS)
            keep(options.out / "curves.csv", curve, METHODS)
            if seed == 0:
                stored = dict(np.load(options.out / "points.npz")) if (options.out / "points.npz").exists() else {}
                np.savez_compressed(options.out / "points.npz", **stored | {name: estimate[::SHOWN].numpy()})
    results, curves = (pd.read_csv(options.out / f"{name}.csv") for name in ("results", "curves"))
    estimates = dict(np.load(options.out / "points.npz"))
    draw(results, curves, estimates).savefig(options.out / "eight_gaussians.png", dpi=150)
    replace_table(options.out / "README.md", summary(results))


def summary(results: pd.DataFrame) -> str:
    """One row a method: means over seeds, and the worst seed."""
    by_method = results.groupby("method", sort=False)
    table = pd.DataFrame(
        {
            "steps": by_method["steps"].first(),
            "seeds": by_method["seed"].count(),
            "PSNR (dB)": by_method["psnr"].mean(),
            "PSNR, worst seed": by_method["psnr"].min(),
            "last weights (dB)": by_method["psnr_last_weights"].mean(),
            "last weights, worst seed": by_method["psnr_last_weights"].min(),
            "right mode": by_method["right_mode"].mean(),
            "worst mode weight error": by_method["mode_weight_error"].max(),
            "CPU (s)": by_method["cpu_s"].mean(),
        }
    ).reset_index()
    observed = ["observed", "", "", results["input_psnr"].mean(), results["input_psnr"].min(), "", "", "", "", ""]
    table = pd.concat([pd.DataFrame([observed], columns=table.columns), table])
    return markdown(table, digits=(0, 0, 0, 2, 2, 2, 2, 3, 4, 0))


if __name__ == "__main__":
    main()
