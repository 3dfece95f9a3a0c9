"""Posterior draws, and the uncertainty that they tell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scif.core._check import check_finite
from scif.core.estimator.base import Estimate
from scif.core.estimator.head import PosteriorHead
from scif.core.noise.base import NoiseModel
from scif.core.schedule import Uniform
from scif.core.solver import solve

__all__ = ["sample"]


@torch.no_grad()
def sample(
    head: PosteriorHead,
    x1: Tensor,
    *,
    num_draws: int = 16,
    num_steps: int = 20,
    noise: NoiseModel | None = None,
    generator: torch.Generator | None = None,
    **condition: Any,
) -> Estimate:
    """Draw clean signals from the posterior, with their standard deviation.

    Parameters
    ----------
    head
        Head trained on the :class:`~scif.core.objective.Posterior` objective.
    x1
        Observations, ``(batch, ...)``.
    num_draws
        Number of draws per observation, at least 2.
    num_steps
        Steps of the midpoint solver; each makes two calls of the head.
    noise
        The channel. If given, draws are projected into its support.
    generator
        Random generator.
    **condition
        Passed to the head.

    Returns
    -------
    Draws ``(num_draws, batch, ...)`` and their standard deviation ``(batch, ...)``.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, PosteriorHead, sample
    >>> from scif.nn import TimeMLP
    >>> head = PosteriorHead(TimeMLP(4), ConsistencyFunction(TimeMLP(2)))
    >>> draws = sample(head, torch.zeros(5, 2), num_draws=8)
    >>> draws.value.shape, draws.std.shape
    (torch.Size([8, 5, 2]), torch.Size([5, 2]))
    """
    if num_draws < 2:
        msg = f"num_draws is {num_draws}; a standard deviation needs at least 2."
        raise ValueError(msg)
    check_finite(x1, name="x1")
    grid = Uniform().grid(num_steps)

    def draw() -> Tensor:
        z = head.latent(x1, generator=generator)
        value = solve(head, z, grid=grid, method="midpoint", observed=x1, **condition).x
        return value if noise is None else noise.support_x0.project(value)

    draws = torch.stack([draw() for _ in range(num_draws)])
    return Estimate(draws, draws.std(0), "sample")
