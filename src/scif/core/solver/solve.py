"""Integrating a velocity in time, towards the clean or the observed end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from scif.core._check import check_positive, check_time
from scif.core.solver.adaptive import integrate_adaptively
from scif.core.solver.steps import STEPS

__all__ = ["Solution", "solve"]


@dataclass(frozen=True)
class Solution:
    """End state of an integration."""

    x: Tensor
    """State at the last time, ``(batch, ...)``."""
    num_evaluations: int
    """Number of velocity evaluations."""


def solve(
    velocity: Callable[..., Tensor],
    x: Tensor,
    *,
    grid: Tensor | None = None,
    t_start: float = 1.0,
    t_end: float = 0.0,
    method: Literal["euler", "midpoint", "heun", "adaptive"] = "euler",
    rtol: float = 1e-5,
    atol: float = 1e-6,
    **condition: Any,
) -> Solution:
    """Carry ``x`` along ``dx/dt = velocity(x, t)`` from ``t_start`` to ``t_end``, in either direction.

    Fixed-step methods visit the times of ``grid`` between both ends, in the direction from ``t_start`` to ``t_end``;
    both ends must be times of the grid. The default direction is from the observed end (t = 1) to the clean end (t =
    0).

    Parameters
    ----------
    velocity
        Velocity, called as ``velocity(x, t, **condition)`` with times ``(batch,)``.
    x
        State at ``t_start``, ``(batch, ...)``.
    grid
        Times in [0, 1], in either order; required by ``"euler"``, ``"midpoint"`` and ``"heun"``, not accepted by
        ``"adaptive"``.
    t_start
        Time of ``x``.
    t_end
        Final time.
    method
        Fixed steps of order 1 (``"euler"``, one evaluation per step) or order 2 (``"midpoint"`` and ``"heun"``, two
        evaluations); or ``"adaptive"``, Dormand-Prince of order 5 with error control (torchdiffeq).
    rtol
        Relative tolerance of the adaptive method.
    atol
        Absolute tolerance of the adaptive method.
    **condition
        Passed to the velocity.

    Returns
    -------
    The state at ``t_end`` and the number of evaluations. The result is differentiable with respect to ``x`` and the
    velocity's parameters; use ``torch.no_grad()`` for inference.

    Raises
    ------
    ValueError
        If times lie outside [0, 1], if the grid is missing, not accepted or lacks an end, or if the method is unknown.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import Uniform
    >>> from scif.core.solver import solve
    >>> solution = solve(lambda x, t: 2 * torch.ones_like(x), torch.zeros(1, 1), grid=Uniform().grid(4))
    >>> solution.x.item(), solution.num_evaluations
    (-2.0, 4)
    """
    check_time(torch.tensor([t_start, t_end]), name="t_start or t_end")
    if method == "adaptive":
        if grid is not None:
            msg = "grid was given, but the adaptive method chooses its own steps; leave grid out or take fixed steps."
            raise ValueError(msg)
        check_positive(rtol, name="rtol")
        check_positive(atol, name="atol")
        end, count = integrate_adaptively(velocity, x, t_start, t_end, rtol=rtol, atol=atol, condition=condition)
        return Solution(end, count)
    if method not in STEPS:
        msg = f"method is {method!r}; choose one of {', '.join([*STEPS, 'adaptive'])}."
        raise ValueError(msg)
    if grid is None:
        msg = f"method {method!r} needs grid=, for instance Uniform().grid(20)."
        raise ValueError(msg)
    scheme = STEPS[method]
    times = _visited(grid, t_start, t_end).to(x)
    for start, end_time in zip(times[:-1], times[1:], strict=True):
        x = scheme.advance(velocity, x, start, end_time, condition)
    return Solution(x, scheme.evaluations * (len(times) - 1))


def _visited(grid: Tensor, t_start: float, t_end: float) -> Tensor:
    """The times of the grid from ``t_start`` to ``t_end``, in the order in which they are visited."""
    check_time(grid, name="grid")
    low, high = min(t_start, t_end), max(t_start, t_end)
    times = grid.detach().cpu().double().sort().values
    tolerance = 1e-6  # a grid in single precision may not hold an end exactly
    times = times[(times >= low - tolerance) & (times <= high + tolerance)]
    if len(times) < 2 or abs(float(times[0]) - low) > tolerance or abs(float(times[-1]) - high) > tolerance:
        msg = f"grid {grid.tolist()} does not hold both t_start = {t_start:g} and t_end = {t_end:g} as times."
        raise ValueError(msg)
    return times if t_start < t_end else times.flip(0)
