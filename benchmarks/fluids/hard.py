"""``python -m benchmarks.fluids.hard``: flows that backward integration fails on, beside the field's peers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from benchmarks.fluids.panels import draw
from benchmarks.report import keep, markdown, replace_table
from torch import Tensor

from scif.core.noise import Gaussian, NoiseModel
from scif.fields.fluids import (
    Coarse,
    FluidInverter,
    Gaps,
    NavierStokes2D,
    NavierStokesChannel,
    UnstableStep,
    Velocities,
    backward_integration,
    ensemble_smoother,
    four_d_var,
    kolmogorov,
    laminar,
    relative_l2,
    turbulent,
    vorticity_correlation,
)
from scif.fields.fluids.chain import lift

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Problem:
    """A flow, how it is observed, and fields."""

    name: str
    flow: NavierStokesChannel
    channel: NoiseModel
    climate: Tensor
    train: Tensor
    truth: Tensor
    test: Tensor


def initial_fields(flow: str, n: int, size: int, seed: int) -> Tensor:
    """Initial fields; those of forced turbulence come from a run of ten times, with snapshots one time apart."""
    rng = torch.Generator().manual_seed(seed)
    if flow != "Kolmogorov":
        make = {"viscous": partial(laminar, viscosity=0.2), "long": turbulent}[flow]
        return make(cutoff=min(10, size // 3 - 1) if flow == "long" else 6).draw(n, size, generator=rng).initial
    runs, solver = max(n // 8, 8), FLOWS[flow].solver
    state = solver.solve(turbulent(cutoff=4).draw(runs, size, generator=rng).initial, 10.0)
    found = []
    for _ in range(-(-n // runs)):
        state = solver.solve(state, 1.0)
        found.append(state)
    return torch.cat(found)[:n]


FLOWS = {
    "viscous": NavierStokesChannel(NavierStokes2D(0.2), 1.0),
    "long": NavierStokesChannel(NavierStokes2D(0.005), 1.0),
    "Kolmogorov": NavierStokesChannel(NavierStokes2D(0.02, forcing=kolmogorov(1.0, 4), drag=0.1), 1.0),
}
CASES: dict[str, tuple[str, float, Callable[[NoiseModel], NoiseModel]]] = {
    "viscous, 5% noise": ("viscous", 0.05, lambda flow: flow),
    "viscous, 20% noise": ("viscous", 0.2, lambda flow: flow),
    "long, 5% noise": ("long", 0.05, lambda flow: flow),
    "long, 20% noise": ("long", 0.2, lambda flow: flow),
    "Kolmogorov, 5% noise": ("Kolmogorov", 0.05, lambda flow: flow),
    "Kolmogorov, 20% noise": ("Kolmogorov", 0.2, lambda flow: flow),
    "long, 30% gaps, 5% noise": ("long", 0.05, lambda flow: flow),
    "long, blocks of 4, 5% noise": ("long", 0.05, lambda flow: Coarse(4) @ flow),
    "long, velocities, 5% noise": ("long", 0.05, lambda flow: Velocities() @ flow),
}
METHODS = (
    "identity",
    "backward, best gain",
    "4D-Var",
    "ensemble Kalman smoother",
    "ICM",
    "ICM, spread of simulated fields",
    "ICM, then 4D-Var",
)


def make_problem(name: str, *, size: int, examples: int, tests: int) -> Problem:
    kind, noise, observe = CASES[name]
    flow = FLOWS[kind]
    fields = initial_fields(kind, examples + tests, size, seed=1)
    climate = initial_fields(kind, 256, size, seed=2)
    seen = observe(flow)
    with torch.no_grad():
        channel: NoiseModel = Gaussian(noise * float(seen.sample(climate[:64]).std())) @ seen
        if "gaps" in name:
            channel = Gaps(0.3, size // 8) @ channel
        observed = channel.sample(fields, generator=torch.Generator().manual_seed(3))
    return Problem(name, flow, channel, climate, observed[tests:], fields[:tests], observed[:tests])


def best_backward(problem: Problem) -> Tensor:
    """Backward integration of the lifted observation with the gain that comes closest to the truth."""
    field, found = lift(problem.channel, problem.test).field, {}
    for gain in (1.5, 3.0, 10.0, 30.0, 100.0):
        try:
            back = backward_integration(field, problem.flow.solver, problem.flow.duration, max_gain=gain)
        except UnstableStep:
            continue
        found[float(relative_l2(back, problem.truth).mean())] = back
    return found[min(found)] if found else field


def run(problem: Problem, options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    rows, fields = [], {"input": lift(problem.channel, problem.test).field, "truth": problem.truth}

    def add(method: str, make: Callable[[], Tensor], std: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        start = time.process_time()
        found = make()
        spent = time.process_time() - start
        row = {
            "case": problem.name,
            "method": method,
            "relative_l2": float(relative_l2(found, problem.truth).mean()),
            "correlation": float(vorticity_correlation(found, problem.truth).mean()),
            "cpu_s": spent,
        }
        if std is not None:
            inside = (found - problem.truth).abs() <= 1.645 * std(found)
            row["coverage_90"] = float(inside.float().mean())
        rows.append(row)
        print(row, flush=True)
        fields[method] = found
        return found

    more = {"iterations": options.iterations}
    if not options.ours:
        _peers(problem, add, more)
    inverter = FluidInverter(problem.channel, width=options.width)
    device = {"accelerator": options.accelerator}

    def invert() -> Tensor:
        inverter.fit(problem.train, max_steps=options.steps, lr=6e-3, **device)
        inverter.fit_spread(problem.train, max_steps=options.steps // 2, **device)
        return inverter.invert(problem.test)

    def std(observed: Tensor) -> Tensor:
        return inverter.invert(observed, return_std=True)[1]

    estimate = add("ICM", invert, lambda _: std(problem.test))
    # the spectrum of draws stands in for the climatology, which 4D-Var alone is given
    draws = inverter.sample(problem.train[:64], num_draws=2, generator=torch.Generator().manual_seed(5)).flatten(0, 1)
    short = {"start": estimate, "iterations": options.iterations // 3}
    add("ICM, then 4D-Var", lambda: four_d_var(problem.test, problem.channel, draws, **short))

    def spread_of_simulated() -> Tensor:
        inverter.fit_spread(problem.train, initial=problem.climate, max_steps=options.steps // 2, **device)
        return estimate

    add("ICM, spread of simulated fields", spread_of_simulated, lambda _: std(problem.test))
    return rows, fields


def _peers(problem: Problem, add: Callable[..., Tensor], more: dict[str, Any]) -> None:
    add("identity", lambda: lift(problem.channel, problem.test).field)
    add("backward, best gain", lambda: best_backward(problem))
    add("4D-Var", lambda: four_d_var(problem.test, problem.channel, problem.climate, **more))
    members: list[Tensor] = []

    def smooth() -> Tensor:
        rng = torch.Generator().manual_seed(4)
        members.append(ensemble_smoother(problem.test, problem.channel, problem.climate, generator=rng))
        return members[0].mean(0)

    add("ensemble Kalman smoother", smooth, lambda _: members[0].std(0))


def table(rows: pd.DataFrame) -> str:
    """Rows in the order of cases and methods."""
    order = {name: i for i, name in enumerate([*CASES, *METHODS])}
    results = rows[["case", "method", "relative_l2", "correlation", "cpu_s", "coverage_90"]]
    results = results.sort_values(["case", "method"], key=lambda column: column.map(order))
    for column in results.columns[2:]:
        results[column] = ["" if pd.isna(value) else f"{value:.3g}" for value in results[column]]
    return markdown(results, digits=(0,) * results.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fluids.hard", description=__doc__)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps")
    parser.add_argument("--examples", type=int, default=256, help="observations to train on")
    parser.add_argument("--tests", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=30, help="of 4D-Var; a third after ICM")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--ours", action="store_true", help="keep the peers' rows; no figure")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--name", default="hard", help="name of the table and of the files written")
    options = parser.parse_args()
    path = HERE / f"{options.name}.csv"
    for name in options.cases:
        rows, fields = run(
            make_problem(name, size=options.size, examples=options.examples, tests=options.tests), options
        )
        keep(path, pd.DataFrame(rows), keys=("case", "method"))
        if not options.ours:
            draw(name, fields, ["backward, best gain", "4D-Var", "ICM"]).savefig(HERE / f"{options.name}.png", dpi=130)
        replace_table(HERE / "README.md", table(pd.read_csv(path)), name=options.name)


if __name__ == "__main__":
    main()
