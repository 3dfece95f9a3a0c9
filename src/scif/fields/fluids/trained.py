"""A trained inversion: the model, and the channel in the units in which it works."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scif.core import solve
from scif.fields.fluids.chain import InUnits
from scif.fields.fluids.operators import FlowVelocity

__all__ = ["TrainedInverse", "distance"]


@dataclass(frozen=True)
class TrainedInverse:
    """From observations to initial fields, in units in which fields are of order one."""

    model: nn.Module
    """Consistency function or velocity."""
    channel: InUnits
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

    def refine(self, final: Tensor, times: int) -> Tensor:
        """Initial fields, corrected by what the model makes of the misfit wherever that lowers it."""
        first = best = self.estimate(final)
        outcome = self.channel.noise_free(best, final)
        for _ in range(times):
            trial = best + first - self.estimate(outcome)
            resimulated = self.channel.noise_free(trial, final)
            better = distance(resimulated, final) < distance(outcome, final)
            best = torch.where(_like(better, best), trial, best)
            outcome = torch.where(_like(better, outcome), resimulated, outcome)
        return best


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Relative L2 distance of each sample ``(batch,)``."""
    size = torch.linalg.vector_norm(b.flatten(1), dim=1).clamp_min(torch.finfo(b.dtype).tiny)
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1) / size


def _like(flags: Tensor, fields: Tensor) -> Tensor:
    return flags.reshape(-1, *[1] * (fields.ndim - 1))
