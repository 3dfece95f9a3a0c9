"""Figure of the page on how it works: ``python docs/figures/flow.py`` writes ``docs/_static/flow.png``, in a minute."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

from scif.core import (
    ConsistencyFunction,
    Gaussian,
    InverseConsistency,
    InverseFlowMatching,
    Karras,
    PseudoHuber,
    SquaredError,
    Velocity,
    fit,
    solve,
)
from scif.nn import TimeMLP

mpl.use("Agg")
OUT = Path(__file__).parents[1] / "_static"
NOISE = Gaussian(0.2)
ANGLES = torch.arange(8) * math.pi / 4
MODES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
TIMES = (1.0, 0.75, 0.5, 0.25, 0.0)
EULER = 40  # steps from 1 to 0: each of TIMES is one of them
SETTINGS = {"max_steps": 2500, "batch_size": 500, "lr": 1e-2, "ema_decay": 0.99, "seed": 0}


def points(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of the clean points, and noisy observations ``(count, 2)``."""
    generator = torch.Generator().manual_seed(seed)
    mode = torch.randint(8, (count,), generator=generator)
    return mode, NOISE.sample(MODES[mode], generator=generator)


def network() -> TimeMLP:
    torch.manual_seed(0)
    return TimeMLP(2, hidden=48, depth=2)


def main() -> None:
    """Train both objectives on noisy points; draw fresh points on their way from time 1 to time 0."""
    _, train = points(8000, 0)
    mode, observed = points(600, 1)
    velocity = Velocity.calibrated(network(), train, NOISE)
    matching = InverseFlowMatching(NOISE, schedule=Karras(), num_steps=11, distance=SquaredError())
    velocity = fit(velocity, matching, train, **SETTINGS)
    consistency = ConsistencyFunction.calibrated(network(), train, NOISE)
    one_step = InverseConsistency(NOISE, schedule=Karras(), num_steps=11, distance=PseudoHuber(0.02))
    consistency = fit(consistency, one_step, train, **SETTINGS)
    with torch.no_grad():
        path = [observed]
        for step in torch.linspace(1, 0, EULER + 1).unfold(0, 2, 1):
            path.append(solve(velocity, path[-1], t_start=float(step[0]), t_end=float(step[1]), grid=step).x)
        end = consistency(observed, 1.0)

    figure, axes = plt.subplots(2, 3, figsize=(7.2, 5.2), layout="constrained")
    shown = {f"$t = {t:g}$": path[round((1 - t) * EULER)] for t in TIMES} | {"one step": end}
    notes = ["observed", "", "", "", "clean", "consistency model"]
    for i, (ax, note, (title, now)) in enumerate(zip(axes.flat, notes, shown.items(), strict=True)):
        if i < len(TIMES):  # where each point came from
            trail = torch.stack(path[: round((1 - TIMES[i]) * EULER) + 1])
            ax.plot(*trail[:, ::4].permute(2, 0, 1), color="#cccccc", lw=0.4, zorder=0)
        ax.scatter(*now.T, c=mode, cmap="hsv", vmin=0, vmax=8, s=3)
        ax.scatter(*MODES.T, marker="+", c="black", s=26, lw=0.7)
        ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[])
        ax.set_title(f"{title}: {note}" if note else title)
        ax.spines[:].set_color("#bbbbbb")
    axes[-1, -1].spines[:].set_color("#4477aa")
    figure.savefig(OUT / "flow.png", dpi=110)


if __name__ == "__main__":
    main()
