"""The best grid for a given number of steps, from the local error of a trained velocity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scif.core.schedule.uniform import Uniform
from scif.core.schedule.user import UserGrid
from scif.core.solver import solve

__all__ = ["fit_grid"]


@torch.no_grad()
def fit_grid(
    velocity: Callable[..., Tensor], x1: Tensor, budget: int, *, resolution: int = 128, **condition: Any
) -> UserGrid:
    """Choose the Euler grid of ``budget`` steps with the least accumulated local error.

    Observations are carried to time 0 on a fine uniform grid by Heun steps. The local error of an Euler step between
    any two fine times is its root mean squared distance from that trajectory, and dynamic programming finds the
    chain of ``budget`` steps from 1 to 0 with the least sum (Bellman's principle).

    Parameters
    ----------
    velocity
        Trained velocity, called ``velocity(x, t, **condition)``.
    x1
        A batch of observations ``(batch, ...)``; a few dozen are enough.
    budget
        Number of Euler steps of the grid, at most ``resolution``.
    resolution
        Number of steps of the fine grid, whose times the result consists of.
    **condition
        Passed on to the velocity.

    Raises
    ------
    ValueError
        If the budget is not between 1 and ``resolution``, or the trajectory is not finite.

    References
    ----------
    Watson et al., "Learning to efficiently sample from diffusion probabilistic models", arXiv 2106.03802;
    Nguyen et al., "Bellman optimal stepsize straightening of flow-matching models", ICLR 2024.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import fit_grid
    >>> stiff = lambda x, t: 4 * t.unsqueeze(1) ** 3 * torch.ones_like(x)  # all the motion is near t = 1
    >>> [round(t, 2) for t in fit_grid(stiff, torch.zeros(2, 1), 3, resolution=64).grid(3).tolist()]
    [0.0, 0.48, 0.78, 1.0]
    """
    if not 1 <= budget <= resolution:
        msg = f"budget is {budget}; it must lie between 1 and resolution = {resolution}."
        raise ValueError(msg)
    times = Uniform().grid(resolution, dtype=torch.float64)
    error = _local_errors(velocity, x1, times, condition)
    if not bool(torch.isfinite(error).all()):
        msg = f"the velocity carries x1 to values that are not finite within {resolution} steps; check its training."
        raise ValueError(msg)
    return UserGrid(times[_shortest_chain(error, budget)])


def _local_errors(
    velocity: Callable[..., Tensor], x1: Tensor, times: Tensor, condition: dict[str, Any]
) -> Tensor:
    """Root mean squared error of one Euler step from time ``j`` down to time ``i < j``, ``(n + 1, n + 1)``."""
    states = [x1]
    for k in range(len(times) - 1, 0, -1):
        ends = {"t_start": float(times[k]), "t_end": float(times[k - 1])}
        states.append(solve(velocity, states[-1], grid=times[k - 1 : k + 1], method="heun", **ends, **condition).x)
    trajectory = torch.stack(states[::-1])
    error = torch.zeros(len(times), len(times), dtype=torch.float64)
    for j in range(1, len(times)):
        at_j = velocity(trajectory[j], times[j].to(x1).expand(x1.shape[0]), **condition)
        jump = (times[:j] - times[j]).to(x1).reshape(-1, *([1] * x1.ndim))
        miss = trajectory[j] + jump * at_j - trajectory[:j]
        error[:j, j] = miss.double().square().flatten(1).mean(1).sqrt().cpu()
    return error


def _shortest_chain(error: Tensor, budget: int) -> list[int]:
    """Indices of the chain ``0 < ... < n`` of ``budget`` steps with the least summed error."""
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
