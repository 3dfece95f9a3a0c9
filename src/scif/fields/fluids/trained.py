"""A trained inversion: the model, and the flow in the units in which it works."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scif.core import solve
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.metrics import relative_l2
from scif.fields.fluids.operators import FlowVelocity

__all__ = ["TrainedInverse"]


@dataclass(frozen=True)
class TrainedInverse:
    """From final to initial fields ``(n, height, width)`` in units in which vorticities are of order one."""

    model: nn.Module
    """Consistency function or velocity."""
    channel: NavierStokesChannel
    grid: Tensor
    """Times that a velocity is integrated over."""

    @property
    def net(self) -> nn.Module:
        """The network inside the model."""
        return self.model.get_submodule("net")

    def estimate(self, final: Tensor) -> Tensor:
        """Initial fields as the model has them."""
        if isinstance(self.model, FlowVelocity):
            return solve(self.model, final, grid=self.grid).x
        return self.model(final, 1.0)

    def simulate(self, initial: Tensor) -> Tensor:
        """Final fields without measurement noise."""
        return self.channel.moments(initial).mean

    def refine(self, final: Tensor, times: int) -> Tensor:
        """Initial fields, corrected by what the model makes of the misfit wherever that lowers it."""
        first = best = self.estimate(final)
        outcome = self.simulate(best)
        for _ in range(times):
            trial = best + first - self.estimate(outcome)
            resimulated = self.simulate(trial)
            better = relative_l2(resimulated, final) < relative_l2(outcome, final)
            best = torch.where(better[:, None, None], trial, best)
            outcome = torch.where(better[:, None, None], resimulated, outcome)
        return best
