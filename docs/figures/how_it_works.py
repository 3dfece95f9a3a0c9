"""Figures of the page "How it works": ``python docs/figures/how_it_works.py`` writes them to ``docs/_static``."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from scif.core import (
    Anchor,
    ConsistencyFunction,
    Gaussian,
    InverseConsistency,
    InverseFlowMatching,
    Karras,
    Uniform,
    Velocity,
    fit,
    solve,
)
from scif.nn import TimeMLP

mpl.use("Agg")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
OUT = Path(__file__).parents[1] / "_static"
SETTINGS = {"batch_size": 500, "lr": 1e-2, "ema_decay": 0.99, "seed": 0}
COLOURS = ("#332288", "#117733", "#44aa99", "#88ccee", "#ddcc77", "#cc6677", "#aa4499", "#882255")


def flow_figure() -> None:
    """Draw noisy points as they flow to eight clean ones."""
    noise = Gaussian(0.2)
    angles = torch.arange(8) * math.pi / 4
    modes = torch.stack([angles.cos(), angles.sin()], 1)
    x0 = modes.repeat(1000, 1)
    x1 = noise.sample(x0, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = Velocity.calibrated(TimeMLP(2, hidden=48, depth=2), x1, noise)
    model = fit(model, InverseFlowMatching(noise, schedule=Karras(), num_steps=11), x1, max_steps=1500, **SETTINGS)
    shown = x1[:1200]
    figure, axes = plt.subplots(1, 5, figsize=(9.5, 2.2), layout="constrained")
    for axis, end in zip(axes, (1.0, 0.75, 0.5, 0.25, 0.0), strict=True):
        points = shown
        if end < 1.0:
            with torch.no_grad():
                points = solve(model, shown, grid=torch.linspace(1.0, end, 13), t_end=end).x
        for mode in range(8):
            axis.plot(*points[torch.arange(len(points)) % 8 == mode].T, ".", ms=1.8, color=COLOURS[mode])
        axis.set(aspect="equal", xlim=(-1.75, 1.75), ylim=(-1.75, 1.75), xticks=[], yticks=[])
        axis.set_title({1.0: "observed, time 1", 0.0: "clean, time 0"}.get(end, f"time {end:g}"), fontsize=9)
        axis.spines[:].set_color("#cccccc")
    figure.savefig(OUT / "how_flow.png", dpi=120)


def survival(anchor_weight: float, sigmas: list[float]) -> list[float]:
    """Share of the variance of a normal signal of variance one that estimates keep, by strength of the noise."""
    kept = []
    for sigma in sigmas:
        noise = Gaussian(sigma)
        x1 = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)) * math.sqrt(1 + sigma**2)
        torch.manual_seed(0)
        model = ConsistencyFunction.calibrated(TimeMLP(1, hidden=16, depth=1), x1, noise)
        objective = InverseConsistency(noise, schedule=Uniform(), num_steps=4)
        trained = objective if anchor_weight == 0 else anchor_weight * Anchor(noise, fraction=0.9) + objective
        model = fit(model, trained, x1, max_steps=500, judged_rows=200, **SETTINGS)
        with torch.no_grad():
            estimate: Tensor = objective.transport(model, x1)
        kept.append(float(estimate.var()))
    return kept


def anchor_figure() -> None:
    """Draw how much variance survives with the anchor and without it."""
    ratios = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    sigmas = [1 / math.sqrt(ratio) for ratio in ratios]
    figure, axis = plt.subplots(figsize=(4.8, 3.0), layout="constrained")
    axis.plot(ratios, survival(0.0, sigmas), "o-", color="#cc3311", label="without anchor")
    axis.plot(ratios, survival(1.0, sigmas), "o-", color="#0077bb", label="with anchor")
    axis.plot(ratios, [ratio / (ratio + 1) for ratio in ratios], "k:", lw=1, label="least squares, $S/(S+1)$")
    axis.axhline(1.0, color="#999999", lw=0.8)
    axis.set(xscale="log", xlabel="signal-to-noise ratio $S$", ylabel="variance of the estimates\n(signal: 1)")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT / "how_anchor.png", dpi=120)


if __name__ == "__main__":
    flow_figure()
    anchor_figure()
