"""Objectives over points of a conditional trajectory: what consistency training and flow matching share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif.core._check import check_batch
from scif.core.coupling import Coupled, Coupling
from scif.core.distance import Distance, SquaredError
from scif.core.objective.base import Objective
from scif.core.path import Linear, Path
from scif.core.schedule import GrowingSteps, Interval, Schedule, Uniform, draw_interval

__all__ = ["TrajectoryObjective", "weighted_mean"]


@dataclass(frozen=True)
class Draw:
    """Coupled ends and an interval of the grid for each sample."""

    ends: Coupled
    interval: Interval


class TrajectoryObjective(Objective):
    """An objective over points of trajectories between coupled ends, at times of a grid.

    Parameters
    ----------
    coupling
        Rule that pairs each clean signal with a point at time 1: noise for generation, an observation for inverse
        problems.
    path
        Trajectory between both ends; default straight lines.
    schedule
        Placement of the time steps; default :class:`~scif.core.schedule.Uniform`.
    num_steps
        Number of time steps, fixed or growing during training.
    distance
        Distance between predictions and targets; default :class:`~scif.core.distance.SquaredError`.
    times
        Relative frequency of the intervals of the grid, see :func:`~scif.core.schedule.draw_interval`.
    """

    def __init__(
        self,
        coupling: Coupling,
        *,
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "uniform",
    ) -> None:
        super().__init__()
        self.coupling = coupling
        self.path = Linear() if path is None else path
        self.schedule = Uniform() if schedule is None else schedule
        self.num_steps = num_steps
        self.distance = SquaredError() if distance is None else distance
        self.times = times
        self.grid = torch.empty(0)
        self.set_step(0)

    def set_step(self, step: int) -> None:
        """Set the time grid for an optimiser step."""
        count = self.num_steps(step) if isinstance(self.num_steps, GrowingSteps) else self.num_steps
        if len(self.grid) != count + 1:
            self.grid = self.schedule.grid(count)

    def transport(
        self, model: nn.Module, x1: Tensor, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Clean ends ``(batch, ...)`` to which a model of this objective carries points at time 1."""
        msg = f"{type(self).__name__} does not say how its model is used; implement transport() for Inverse."
        raise NotImplementedError(msg)

    def draw(self, x0: Tensor, generator: torch.Generator | None) -> Draw:
        """Couple clean signals, and draw an interval for each of them."""
        check_batch(x0, name="x0")
        ends = self.coupling(x0, generator=generator)
        grid = self.grid.to(device=x0.device, dtype=x0.dtype)
        return Draw(ends, draw_interval(grid, x0.shape[0], weights=self.times, generator=generator))


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over samples ``(batch,)``, weighted if there are weights."""
    return losses.mean() if weights is None else (losses * weights.to(losses)).mean()
