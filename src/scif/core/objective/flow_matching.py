"""Flow matching: a velocity from clean signals."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif.core._call import call_network
from scif.core.coupling import Coupling
from scif.core.distance import Distance
from scif.core.objective.base import LossOutput
from scif.core.objective.trajectory import TrajectoryObjective, weighted_mean
from scif.core.path import Path
from scif.core.schedule import GrowingSteps, Schedule
from scif.core.solver import solve
from scif.core.velocity import velocity_from_x0

__all__ = ["FlowMatching"]


class FlowMatching(TrajectoryObjective):
    r"""Regression of a velocity on that of trajectories between coupled ends.

    Minimises :math:`\| v(x_t, t) - u_t(x_t | x_0, x_1) \|^2`, whose minimiser is the velocity of the marginal flow; or,
    with ``prediction="x0"``, :math:`\| D(x_t, t) - x_0 \|^2`, from which :func:`~scif.core.velocity.velocity_from_x0`
    makes a velocity. The latter stays bounded as ``t`` goes to 0, where the velocity of concentrated data is steep, and
    weights all times equally. The minimiser is a mean, so use a Bregman divergence as distance (squared error, Poisson
    deviance); robust losses bias it.

    Parameters
    ----------
    coupling
        Rule that pairs each clean signal with a point at time 1.
    path
        Trajectory between both ends; default straight lines.
    schedule
        Placement of the times; default uniform.
    num_steps
        Number of time steps, fixed or growing during training.
    distance
        Distance between predictions and targets; default squared error.
    times
        Relative frequency of the intervals of the grid.
    prediction
        Output of the model.
    continuous
        Draw times anywhere in their interval. If False, use its upper end, the only time that Euler's method visits.
    method
        Solver of :meth:`transport` on the grid.

    References
    ----------
    Lipman et al., "Flow matching for generative modeling", ICLR 2023, theorem 2.
    """

    name = "flow_matching"

    def __init__(
        self,
        coupling: Coupling,
        *,
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "length",
        prediction: Literal["velocity", "x0"] = "velocity",
        continuous: bool = True,
        method: Literal["euler", "midpoint", "heun"] = "euler",
    ) -> None:
        super().__init__(coupling, path=path, schedule=schedule, num_steps=num_steps, distance=distance, times=times)
        if prediction not in ("velocity", "x0"):
            msg = f"prediction is {prediction!r}; choose 'velocity' or 'x0'."
            raise ValueError(msg)
        if prediction == "x0" and method != "euler":
            msg = f"method is {method!r}, but prediction='x0' has no velocity at t = 0; take method='euler'."
            raise ValueError(msg)
        self.prediction = prediction
        self.continuous = continuous
        self.method: Literal["euler", "midpoint", "heun"] = method

    def transport(
        self, model: nn.Module, x1: Tensor, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Ends of the flow from ``x1``, by the solver on the grid."""

        def from_x0(x: Tensor, t: Tensor, **condition: Any) -> Tensor:
            return velocity_from_x0(x, call_network(model, x, t, **condition), t)

        velocity = model if self.prediction == "velocity" else from_x0
        return solve(velocity, x1, grid=self.grid, method=self.method, **condition).x

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss of a velocity (or x0-prediction), without a teacher; the batch is of *clean* signals here."""
        draw = self.draw(x1, generator)
        s, t = draw.interval.s, draw.interval.t
        if self.continuous:
            t = s + (t - s) * torch.rand(t.shape, dtype=t.dtype, device=t.device, generator=generator)
        point = self.path.sample(draw.ends.x0, draw.ends.x1, t, generator=generator)
        target = point.u_t if self.prediction == "velocity" else draw.ends.x0
        return LossOutput(
            weighted_mean(self.distance(call_network(model, point.x_t, t, **condition), target), draw.ends.weights)
        )
