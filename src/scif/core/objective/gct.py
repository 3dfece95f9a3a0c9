"""Generalized consistency training: a consistency function from clean signals."""

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
from scif.core.schedule import GrowingSteps, Schedule, loss_weight

__all__ = ["GCT"]


class GCT(TrajectoryObjective):
    r"""Generalized consistency training: neighbouring points of one trajectory have the same clean end.

    With two points at times ``s < t`` of the trajectory between coupled ends, minimises

    .. math:: w \, d\big(c(x_t, t), \; \mathrm{sg}\, c(x_s, s)\big),

    where ``c(x, 0) = x`` by construction. Training needs clean data. The result is a one-step generator if the coupling
    supplies noise, and a supervised denoiser if it supplies observations.

    Parameters
    ----------
    coupling
        Rule that pairs each clean signal with a point at time 1.
    path
        Trajectory between both ends; default straight lines.
    schedule
        Placement of the time steps; default uniform.
    num_steps
        Number of time steps, fixed or growing during training. In inverse problems it acts as a shrinkage parameter:
        few steps erase weak signals (see :func:`~scif.core.theory.linear_gaussian_survival`).
    distance
        Distance between predictions and targets; default squared error.
    times
        Relative frequency of the intervals of the grid.
    weight
        Weight ``w``: ``"inverse_step"`` is ``1 / (t - s)``, as published.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from scif.core import GCT, ConsistencyFunction, Independent
    >>> from scif.nn import TimeMLP
    >>> objective = GCT(Independent(), num_steps=8)
    >>> loss = objective(ConsistencyFunction(TimeMLP(2)), torch.randn(16, 2)).loss
    >>> loss.shape, loss.requires_grad
    (torch.Size([]), True)
    """

    name = "gct"

    def __init__(
        self,
        coupling: Coupling,
        *,
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "uniform",
        weight: Literal["constant", "inverse_step"] = "inverse_step",
    ) -> None:
        super().__init__(coupling, path=path, schedule=schedule, num_steps=num_steps, distance=distance, times=times)
        if weight not in ("constant", "inverse_step"):
            msg = f"weight is {weight!r}; choose 'constant' or 'inverse_step'."
            raise ValueError(msg)
        self.weight: Literal["constant", "inverse_step"] = weight

    def transport(
        self, model: nn.Module, x1: Tensor, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Clean ends ``c(x1, 1)``, in one call."""
        x0: Tensor = call_network(model, x1, x1.new_ones(x1.shape[0]), **condition)
        return x0

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss of a consistency function; the batch ``(batch, ...)`` is of *clean* signals here."""
        draw = self.draw(x1, generator)
        interval = draw.interval
        pair = self.path.pair(draw.ends.x0, draw.ends.x1, interval.s, interval.t, generator=generator)
        prediction = call_network(model, pair.x_t, pair.t, **condition)
        if len(self.grid) == 2:  # one step from time 0, where c(x, 0) = x by construction
            target = pair.x_s.detach()
        else:
            with torch.no_grad():
                target = (model if teacher is None else teacher)(pair.x_s, pair.s, **condition)
        losses = self.distance(prediction, target) * loss_weight(interval, self.weight)
        return LossOutput(weighted_mean(losses, draw.ends.weights))
