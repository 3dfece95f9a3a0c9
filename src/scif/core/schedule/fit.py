"""The best grid for a given number of steps, from the local error of a trained velocity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scif.core._precision import double
from scif.core.schedule.uniform import Uniform
from scif.core.schedule.user import UserGrid
from scif.core.solver import solve

__all__ = ["fit_grid"]


def fit_grid(
    velocity: Callable[..., Tensor],
    x1: Tensor,
    budget: int,
    *,
    resolution: int = 64,
    probes: int = 4,
    generator: torch.Generator | None = None,
    **condition: Any,
) -> UserGrid:
    """Find the Euler grid with ``budget`` steps that has the smallest accumulated error at time 0.

    Observations are carried to time 0 on a fine uniform grid by Heun steps. An Euler step between two fine times
    deviates from that trajectory by its local error. The rest of the flow carries this error to time 0: contracting
    flows reduce it, diverging flows magnify it. Its square is measured with random probes carried backwards along the
    linearised flow. Dynamic programming then finds the sequence of ``budget`` steps from 1 to 0 with the smallest sum
    of squares (Bellman's principle).

    Parameters
    ----------
    velocity
        Trained velocity, called as ``velocity(x, t, **condition)`` and differentiated with respect to ``x``.
    x1
        A batch of observations ``(batch, ...)``; a few dozen are enough.
    budget
        Number of Euler steps of the grid, at most ``resolution``.
    resolution
        Number of steps of the fine grid; the result consists of its times.
    probes
        Number of random directions per observation in which errors at time 0 are measured.
    generator
        Random generator for the probes.
    **condition
        Passed to the velocity.

    Raises
    ------
    ValueError
        If the budget is not between 1 and ``resolution``, or if the trajectory is not finite.

    References
    ----------
    Watson et al., "Learning to efficiently sample from diffusion probabilistic models", arXiv 2106.03802;
    Nguyen et al., "Bellman optimal stepsize straightening of flow-matching models", ICLR 2024.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import fit_grid
    >>> late = lambda x, t: 4 * t.unsqueeze(1) ** 3 * torch.ones_like(x)  # all the motion is near t = 1
    >>> [round(t, 2) for t in fit_grid(late, torch.zeros(2, 1), 3).grid(3).tolist()]
    [0.0, 0.52, 0.8, 1.0]
    """
    if not 1 <= budget <= resolution:
        msg = f"budget is {budget}; it must lie between 1 and resolution = {resolution}."
        raise ValueError(msg)
    times = Uniform().grid(resolution, dtype=torch.float64)
    draws = [torch.randn(x1.shape, generator=generator, dtype=x1.dtype, device=x1.device) for _ in range(probes)]
    error = _errors_at_zero(partial(velocity, **condition), x1.detach(), times, draws)
    if not bool(torch.isfinite(error).all()):
        msg = f"the velocity carries x1 to values that are not finite within {resolution} steps; check its training."
        raise ValueError(msg)
    return UserGrid(times[_shortest_chain(error, budget)])


def _errors_at_zero(velocity: Callable[..., Tensor], x1: Tensor, times: Tensor, probes: list[Tensor]) -> Tensor:
    """Mean squared error at time 0 by one Euler step from time ``j`` to time ``i < j``, ``(n + 1, n + 1)``."""

    def fine_step(x: Tensor, k: int) -> Tensor:
        ends = {"t_start": float(times[k]), "t_end": float(times[k - 1])}
        return solve(velocity, x, grid=times[k - 1 : k + 1], method="heun", **ends).x

    states = [x1]
    with torch.no_grad():
        for k in range(len(times) - 1, 0, -1):
            states.insert(0, fine_step(states[0], k))
    trajectory = torch.stack(states)
    sensitivity = torch.stack([_carry_back(fine_step, trajectory, probe) for probe in probes])
    error = torch.zeros(len(times), len(times), dtype=torch.float64)
    for j in range(1, len(times)):
        with torch.no_grad():
            slope = velocity(trajectory[j], times[j].to(x1).expand(x1.shape[0]))
        jump = (times[:j] - times[j]).to(x1).reshape(-1, *([1] * x1.ndim))
        miss = trajectory[j] + jump * slope - trajectory[:j]
        at_zero = (sensitivity[:, :j] * miss).reshape(len(probes), j, x1.shape[0], -1).sum(3)
        error[:j, j] = double(at_zero).square().mean((0, 2)).cpu()
    return error


def _carry_back(fine_step: Callable[[Tensor, int], Tensor], trajectory: Tensor, probe: Tensor) -> Tensor:
    """Gradient of the probed coordinate at time 0 with respect to the state at each fine time."""
    adjoints = [probe]
    for k in range(1, len(trajectory)):
        with torch.enable_grad():
            state = trajectory[k].clone().requires_grad_()
            (adjoint,) = torch.autograd.grad(fine_step(state, k), state, adjoints[-1])
        adjoints.append(adjoint)
    return torch.stack(adjoints)


def _shortest_chain(error: Tensor, budget: int) -> list[int]:
    """Indices of the chain ``0 < ... < n`` of ``budget`` steps with the least sum."""
    n = error.shape[0] - 1
    cost = torch.where(torch.ones_like(error).triu(1).bool(), error, torch.inf)
    best = torch.full((n + 1,), torch.inf, dtype=torch.float64)
    best[0] = 0.0
    choices = []
    for _ in range(budget):
        best, choice = (best.unsqueeze(1) + cost).min(0)
        choices.append(choice)
    chain = [n]
    for choice in reversed(choices):
        chain.append(int(choice[chain[-1]]))
    return chain[::-1]
