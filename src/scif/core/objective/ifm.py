"""Inverse flow matching: a velocity from noisy observations alone."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif.core.coupling import ChannelCoupling
from scif.core.distance import Distance
from scif.core.noise.base import NoiseModel
from scif.core.objective.flow_matching import FlowMatching
from scif.core.objective.inverse import Inverse
from scif.core.path import Path
from scif.core.schedule import GrowingSteps, Schedule
from scif.core.solver import solve
from scif.core.velocity import velocity_from_x0

__all__ = ["IFM"]


class IFM(Inverse, FlowMatching):
    r"""Inverse flow matching: :class:`FlowMatching` on clean signals to which the flow itself takes the observations.

    :math:`x_0 = \mathrm{sg}\, \mathrm{ODE}_{1 \to 0}(v)(x_1)` stands in for the clean signal, the channel draws a new
    observation of it, and the pair is trained on as in :class:`FlowMatching`. Costs as many network calls as the
    solver takes, where :class:`ICM` needs one; on one grid both have the same fixed points (for Euler steps).

    Parameters
    ----------
    noise
        The channel.
    method
        Solver on the grid. With ``"euler"`` the velocity is trained on the times of the grid, else on all times.
    resamples
        Number of new observations of each clean estimate.
    prediction
        What the model returns: a velocity, or the clean end (a :class:`~scif.core.consistency.ConsistencyFunction`
        serves), which is more accurate where clean signals are concentrated.
    path, schedule, num_steps, distance, times
        As for :class:`FlowMatching`.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, algorithm 1.
    """

    name = "ifm"

    def __init__(
        self,
        noise: NoiseModel,
        *,
        method: Literal["euler", "midpoint", "heun"] = "euler",
        resamples: int = 1,
        prediction: Literal["velocity", "x0"] = "velocity",
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "uniform",
    ) -> None:
        if prediction == "x0" and method != "euler":
            msg = f"method is {method!r}, but prediction='x0' has no velocity at t = 0; take method='euler'."
            raise ValueError(msg)
        super().__init__(
            ChannelCoupling(noise),
            path=path,
            schedule=schedule,
            num_steps=num_steps,
            distance=distance,
            times=times,
            prediction=prediction,
            continuous=method != "euler",
        )
        self._set_channel(noise, resamples)
        self.method = method

    def transport(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """End of the flow from ``x1``, inside the channel's support."""

        def from_x0(x: Tensor, t: Tensor, **condition: Any) -> Tensor:
            return velocity_from_x0(x, model(x, t, **condition), t)

        velocity = model if self.prediction == "velocity" else from_x0
        return self.noise.support_x0.project(solve(velocity, x1, grid=self.grid, method=self.method, **condition).x)
