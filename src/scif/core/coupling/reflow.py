"""Pairs from a trained flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from scif.core.coupling.base import Coupled, Coupling
from scif.core.solver import solve

__all__ = ["Reflow"]


class Reflow(Coupling):
    """Pairs of noise and the result of a trained velocity; training on these pairs straightens the flow.

    Parameters
    ----------
    velocity
        Trained velocity, called ``velocity(x, t)``.
    grid
        Times of the solver.
    method
        Fixed-step method of :func:`~scif.core.solver.solve`.

    References
    ----------
    Liu, Gong and Liu, "Flow straight and fast", ICLR 2023, section 2.

    Examples
    --------
    >>> import torch
    >>> from scif.core.coupling import Reflow
    >>> from scif.core.schedule import Uniform
    >>> drift = Reflow(lambda x, t: torch.full_like(x, 3.0), grid=Uniform().grid(2))
    >>> pairs = drift(torch.zeros(1, 1), torch.ones(1, 1))
    >>> pairs.x0.item(), pairs.x1.item()
    (-2.0, 1.0)
    """

    def __init__(
        self,
        velocity: Callable[..., Tensor],
        *,
        grid: Tensor,
        method: Literal["euler", "midpoint", "heun"] = "heun",
    ) -> None:
        self.velocity, self.grid, self.method = velocity, grid, method

    @torch.no_grad()
    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Carry ``x1`` to time 0; ``x0`` only sets the shape."""
        return Coupled(solve(self.velocity, x1, grid=self.grid, method=self.method).x, x1)
