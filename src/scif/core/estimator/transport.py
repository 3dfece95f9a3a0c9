"""The transported point: where the flow takes an observation."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif.core._call import call_network
from scif.core._check import check_finite
from scif.core.estimator.base import Estimate
from scif.core.noise.base import NoiseModel
from scif.core.path import Linear
from scif.core.schedule import Schedule, Uniform
from scif.core.solver import solve
from scif.core.velocity import Velocity, velocity_from_x0

__all__ = ["transport"]


@torch.no_grad()
def transport(
    model: nn.Module,
    x1: Tensor,
    *,
    num_steps: int | None = None,
    schedule: Schedule | None = None,
    noise: NoiseModel | None = None,
    prediction: Literal["clean_end", "velocity", "x0"] | None = None,
    method: Literal["euler", "midpoint", "heun"] = "euler",
    generator: torch.Generator | None = None,
    **condition: Any,
) -> Estimate:
    r"""Carry observations to the clean end. This estimate keeps the distribution.

    A consistency function needs one call. Each further step re-noises the result with the channel, goes to an earlier
    time on the path between them, and calls the function again. Later steps start nearer to the clean end, where the
    function is more accurate, but they replace some of the observation's noise with new noise. A solver integrates
    velocities.

    Parameters
    ----------
    model
        Consistency function, velocity or x0-prediction.
    x1
        Observations, ``(batch, ...)``.
    num_steps
        Number of time steps; default 1 for a consistency function and 20 for a velocity.
    schedule
        Placement of the steps; default uniform. For a velocity, use the grid that it was trained on.
    noise
        The channel; required for several steps of a consistency function. If given, the result is projected into its
        support.
    prediction
        Output of the model: the clean end of the flow (a consistency function trained by ``InverseConsistency`` or
        ``GCT``), a velocity, or the mean clean signal (``InverseFlowMatching`` with ``prediction="x0"``). By default
        :class:`Velocity` objects are recognised by their class; everything else counts as a consistency function.
    method
        Solver for velocities.
    generator
        Random generator for further steps.
    **condition
        Passed to the model.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, transport
    >>> from scif.nn import TimeMLP
    >>> estimate = transport(ConsistencyFunction(TimeMLP(2)), torch.ones(1, 2))  # untrained: Gaussian data
    >>> round(estimate.value[0, 0].item(), 3), estimate.kind
    (0.707, 'transport')
    """
    check_finite(x1, name="x1")
    prediction = prediction or ("velocity" if isinstance(model, Velocity) else "clean_end")
    schedule = Uniform() if schedule is None else schedule
    if prediction == "clean_end":
        grid = schedule.grid(1 if num_steps is None else num_steps)
        value = _consistency_steps(model, x1, grid, noise, generator, condition)
    else:
        grid = schedule.grid(20 if num_steps is None else num_steps)

        def from_x0(x: Tensor, t: Tensor, **condition: Any) -> Tensor:
            return velocity_from_x0(x, call_network(model, x, t, **condition), t)

        velocity = from_x0 if prediction == "x0" else model
        value = solve(velocity, x1, grid=grid, method=method, **condition).x
    return Estimate(value if noise is None else noise.support_x0.project(value), None, "transport")


def _consistency_steps(
    model: nn.Module,
    x1: Tensor,
    grid: Tensor,
    noise: NoiseModel | None,
    generator: torch.Generator | None,
    condition: dict[str, Any],
) -> Tensor:
    times = grid[1:].flip(0).tolist()
    x0: Tensor = call_network(model, x1, x1.new_ones(x1.shape[0]), **condition)
    for t in times[1:]:
        if noise is None:
            msg = "noise is not given, but several steps of a consistency function re-noise by the channel; pass it."
            raise ValueError(msg)
        x0 = noise.support_x0.project(x0)
        x_t = Linear().sample(x0, noise.sample(x0, generator=generator), t).x_t
        x0 = call_network(model, x_t, x_t.new_full((x_t.shape[0],), t), **condition)
    return x0
