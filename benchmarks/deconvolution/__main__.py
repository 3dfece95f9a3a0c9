"""``python -m benchmarks.deconvolution``: train, measure, and write the table and the figure beside this file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.report import keep, markdown, replace_table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from scif.core import ConsistencyFunction, GrowingSteps, InverseConsistency, Karras, fit, transport
from scif.core.noise import Gamma, Gaussian, Jacobi, NoiseModel, Poisson
from scif.nn import TimeMLP

HERE = Path(__file__).parent
SAMPLES = 8000
LEFT = 0.3
SIGMA = 0.5


@dataclass(frozen=True)
class Mixture:
    """Two normal modes of weight 0.3 and 0.7, the channel that blurs them, and how training differs from the truth."""

    noise: Callable[[], NoiseModel]
    means: tuple[float, float]
    widths: tuple[float, float]
    assumed: Callable[[], NoiseModel] | None = None
    """The channel that training takes for the true one, if it is another."""
    uniform: bool = False
    """Whether training takes 40 equal time steps throughout, instead of steps that grow in number and towards t = 1."""

    def draw(self, seed: int) -> tuple[Tensor, Tensor]:
        """Clean and observed values, ``(SAMPLES, 1)``."""
        generator = torch.Generator().manual_seed(seed)
        right = (torch.rand(SAMPLES, 1, generator=generator) > LEFT).long()
        x0 = torch.tensor(self.means)[right]
        x0 = x0 + torch.tensor(self.widths)[right] * torch.randn(SAMPLES, 1, generator=generator)
        x0 = self.noise().support_x0.project(x0)
        return x0, self.noise().sample(x0, generator=generator)

    @property
    def valley(self) -> float:
        """The value between both modes, nearer to the narrow one."""
        (a, b), (u, v) = self.means, self.widths
        return (a * v + b * u) / (u + v)


def _normal(factor: float) -> Mixture:
    return Mixture(lambda: Gaussian(SIGMA), (-2.0, 1.0), (0.4, 0.4), lambda: Gaussian(SIGMA * factor))


FACTORS = (0.8, 0.9, 1.1, 1.2)
CHANNELS = {
    "Gaussian": Mixture(lambda: Gaussian(SIGMA), (-2.0, 1.0), (0.4, 0.4)),
    "Poisson": Mixture(Poisson, (10.0, 40.0), (3.0, 6.0)),
    "gamma": Mixture(lambda: Gamma(20.0), (1.0, 3.0), (0.2, 0.5)),
    "Jacobi": Mixture(lambda: Jacobi(horizon=0.05), (0.25, 0.75), (0.08, 0.08)),
}
MISSPECIFIED = {f"sigma x {factor}": _normal(factor) for factor in FACTORS}
UNIFORM = {"Gaussian, 40 equal time steps": replace(CHANNELS["Gaussian"], uniform=True)}
RUNS = CHANNELS | MISSPECIFIED | UNIFORM


def describe(x: Tensor, mixture: Mixture) -> dict[str, float]:
    """Variance, excess kurtosis, and the weight and the width of the left mode."""
    z = (x - x.mean()) / x.std()
    left = x[x < mixture.valley]
    return {
        "variance": float(x.var()),
        "kurtosis": float(z.pow(4).mean()) - 3.0,
        "left_weight": len(left) / len(x),
        "left_width": float(left.std()),
    }


def wasserstein(a: Tensor, b: Tensor) -> float:
    """Mean distance of the order statistics."""
    return float((a.flatten().sort().values - b.flatten().sort().values).abs().mean())


def run(name: str, seed: int, *, steps: int) -> tuple[dict[str, Any], np.ndarray]:
    """Train on one sample of observations, and judge what becomes of another."""
    mixture = RUNS[name]
    noise = (mixture.assumed or mixture.noise)()
    _, x1 = mixture.draw(seed)
    x0, fresh = mixture.draw(1000 + seed)
    torch.manual_seed(seed)
    start = time.process_time()
    model = ConsistencyFunction.calibrated(TimeMLP(1, hidden=32, depth=2), x1, noise)
    settings = {"batch_size": 500, "lr": 5e-3, "ema_decay": 0.99, "seed": seed}
    growing = InverseConsistency(noise, schedule=Karras(), num_steps=GrowingSteps(5, 40, over=max(steps // 2, 1)))
    objective = InverseConsistency(noise, num_steps=40) if mixture.uniform else growing
    averaged = fit(model, objective, x1, max_steps=steps, **settings)
    cpu = time.process_time() - start
    estimate = transport(averaged, fresh, noise=noise).value
    figures: dict[str, Any] = {"method": name, "seed": seed, "steps": steps, "cpu_s": cpu}
    for kind, x in (("truth", x0), ("observed", fresh), ("estimate", estimate)):
        figures |= {f"{kind}_{key}": value for key, value in describe(x, mixture).items()}
    figures |= {"observed_distance": wasserstein(fresh, x0), "estimate_distance": wasserstein(estimate, x0)}
    return figures, torch.cat([x0, fresh, estimate], 1).numpy()


def draw(results: pd.DataFrame, samples: dict[str, np.ndarray]) -> Figure:
    """Densities of all channels, and the error against the assumed sigma."""
    figure = Figure(figsize=(12, 2.7), layout="constrained")
    axes = figure.subplots(1, 5)
    for axis, name in zip(axes, CHANNELS, strict=False):
        observed = samples[name][:, 1]
        low, high = np.quantile(observed, (0.001, 0.999))
        whole = np.array_equal(observed, observed.round())
        bins = np.arange(low, high + 2, 2) - 0.5 if whole else np.linspace(low, high, 36)
        for column, (label, colour) in enumerate((("truth", "#999999"), ("observed", "#222255"), ("ICM", "#cc3311"))):
            kind = {"histtype": "stepfilled", "alpha": 0.4} if column == 0 else {"histtype": "step"}
            axis.hist(samples[name][:, column], bins, density=True, color=colour, label=label, **kind)
        axis.set(title=name, yticks=[])
    axes[0].legend(frameon=False, fontsize=7)
    _draw_misspecified(axes[4], results[results["method"].isin([*MISSPECIFIED, "Gaussian"])])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_misspecified(axis: Axes, results: pd.DataFrame) -> None:
    """Errors over the assumed noise level; dotted, the least there can be: missed noise stays in the signal."""
    factors = results["method"].replace("Gaussian", "1").str.removeprefix("sigma x ").astype(float)
    truth = results.filter(like="truth_").mean().rename(lambda name: name.removeprefix("truth_"))
    curve = np.linspace(factors.min(), factors.max())
    missed = SIGMA**2 * (1.0 - curve**2)
    variance = truth["variance"] + missed
    width = np.sqrt(np.maximum(truth["left_width"] ** 2 + missed, 0.0))
    kurtosis = truth["kurtosis"] * (truth["variance"] / variance) ** 2  # the fourth cumulant of normal noise is zero
    errors = {
        "variance": (results["estimate_variance"] / results["truth_variance"] - 1.0, variance / truth["variance"] - 1),
        "kurtosis": (results["estimate_kurtosis"] - results["truth_kurtosis"], kurtosis - truth["kurtosis"]),
        "width of a mode": (
            results["estimate_left_width"] / results["truth_left_width"] - 1.0,
            width / truth["left_width"] - 1.0,
        ),
        "weight of a mode": (results["estimate_left_weight"] - results["truth_left_weight"], 0.0 * curve),
    }
    for (label, (error, best)), colour in zip(
        errors.items(), ("#cc3311", "#4477aa", "#228833", "#aa3377"), strict=True
    ):
        axis.plot(factors, error, ".", color=colour, markersize=3)
        means = error.groupby(factors).mean()
        axis.plot(means.index, means, color=colour, linewidth=1.2, label=label)
        axis.plot(curve, best, ":", color=colour, linewidth=1.0)
    axis.set(title="wrong sigma", xlabel="assumed over true sigma", ylabel="error")
    axis.legend(frameon=False, fontsize=6)


def summary(results: pd.DataFrame) -> str:
    """One row a run: what is true, observed and estimated, means over seeds."""
    means = results.groupby("method", sort=False).mean(numeric_only=True)
    table = pd.DataFrame({"": means.index})
    for key, label in (("variance", "variance"), ("kurtosis", "kurtosis"), ("left_weight", "left mode")):
        for kind in ("truth", "observed", "estimate"):
            table[f"{label}, {kind}"] = means[f"{kind}_{key}"].to_numpy()
    table["distance left"] = (means["estimate_distance"] / means["observed_distance"]).to_numpy()
    table["CPU (s)"] = means["cpu_s"].to_numpy()
    return markdown(table, digits=(0, 3, 3, 3, 2, 2, 2, 3, 3, 3, 2, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deconvolution", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=HERE, help="runs found there are kept unless they are run again")
    options = parser.parse_args()
    stored = options.out / "samples.npz"
    for name in options.runs:
        for seed in options.seeds:
            figures, samples = run(name, seed, steps=options.steps)
            print(figures, flush=True)
            keep(options.out / "results.csv", pd.DataFrame([figures]), RUNS)
            if seed == 0 and name in CHANNELS:
                old = dict(np.load(stored)) if stored.exists() else {}
                np.savez_compressed(stored, **old | {name: samples[::4].astype(np.float16)})
    results = pd.read_csv(options.out / "results.csv")
    draw(results, dict(np.load(stored))).savefig(options.out / "deconvolution.png", dpi=150)
    replace_table(options.out / "README.md", summary(results))


if __name__ == "__main__":
    main()
