"""The inversions that are compared: each makes, from a task, a map from final to initial fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.fluids.cases import Task
from torch import Tensor

from scif.core import GCT, ChannelCoupling, Objective
from scif.fields.fluids import FluidInverter, UnstableStep, backward_integration, relative_l2
from scif.fields.fluids.chain import InUnits

__all__ = ["METHODS", "Inversion", "Settings"]

Inversion = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Settings:
    """What all trained methods share."""

    steps: int
    lr: float
    width: int
    seed: int
    accelerator: str


class Supervised(FluidInverter):
    """The same network, given the initial fields that nobody has in practice."""

    def make_objective(self, channel: InUnits, *, square: bool) -> Objective:
        return GCT(ChannelCoupling(channel), num_steps=1)


def identity(task: Task, settings: Settings) -> dict[str, Inversion]:
    """The final field itself."""
    return {"identity": lambda final: final}


def backward(task: Task, settings: Settings) -> dict[str, Inversion]:
    """Backward integration with the gain that comes closest to the truth."""
    errors = {}
    for gain in (3.0, 10.0, 30.0, 100.0, 1000.0):
        invert = partial(
            backward_integration, solver=task.case.channel.solver, duration=task.case.channel.duration, max_gain=gain
        )
        try:
            errors[float(relative_l2(invert(task.test.final), task.test.initial).mean())] = invert
        except UnstableStep:
            continue
    return {"backward integration": errors[min(errors)]}


def trained(name: str, task: Task, settings: Settings, *, slow: int = 1, **arguments: Any) -> dict[str, Inversion]:
    """An inverter trained on final fields; without measurement noise its corrected form, too."""
    inverter = FluidInverter(task.case.channel, width=settings.width, seed=settings.seed, **arguments)
    inverter.fit(task.train.final, **_training(settings, settings.steps // slow), judged_rows=64)
    found: dict[str, Inversion] = {name: inverter.invert}
    if name == "ICM from backward" and task.case.channel.sigma == 0:
        found[f"{name}, corrected"] = partial(inverter.invert, refinements=2)
    return found


def supervised(task: Task, settings: Settings) -> dict[str, Inversion]:
    """One network call, trained on the truth."""
    inverter = Supervised(task.case.channel, start="identity", width=settings.width, seed=settings.seed)
    inverter.fit(task.train.initial, **_training(settings, settings.steps))
    return {"supervised": inverter.invert}


def _training(settings: Settings, steps: int) -> dict[str, Any]:
    return {"max_steps": steps, "lr": settings.lr, "accelerator": settings.accelerator}


def _trained(name: str, **arguments: Any) -> Callable[[Task, Settings], dict[str, Inversion]]:
    return partial(_call_trained, name, arguments)


def _call_trained(name: str, arguments: dict[str, Any], task: Task, settings: Settings) -> dict[str, Inversion]:
    return trained(name, task, settings, **arguments)


METHODS: dict[str, Callable[[Task, Settings], dict[str, Inversion]]] = {
    "identity": identity,
    "backward integration": backward,
    "ICM, as published": _trained("ICM, as published", start="identity", num_steps=10),
    "IFM, as published": _trained("IFM, as published", method="ifm", num_steps=10, slow=3),
    "ICM, one step": _trained("ICM, one step", start="identity"),
    "ICM from backward": _trained("ICM from backward"),
    "supervised": supervised,
}
