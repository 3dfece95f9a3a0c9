"""Inverse training: an objective for clean signals, after the model has made them of the observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scif.core.noise.base import NoiseModel
from scif.core.objective.base import LossOutput
from scif.core.objective.trajectory import TrajectoryObjective

__all__ = ["CleanEstimates", "Inverse"]


@dataclass(frozen=True)
class CleanEstimates:
    """Clean estimates ``x0``, each as often as it will be re-noised, and conditions to match."""

    x0: Tensor
    """Clean estimates, ``(batch * resamples, ...)``."""
    condition: dict[str, Any]
    """What goes to the network by name, repeated likewise."""


class Inverse(TrajectoryObjective):
    """What turns an objective for clean signals into one for observations; stands before it among the base classes.

    Clean estimates ``x0`` come from :meth:`transport`, by the teacher if there is one and without gradient. The
    channel then draws ``resamples`` new observations of each, and the objective behind this class takes over.

    Parameters
    ----------
    coupling, path, schedule, num_steps, distance, times
        As for :class:`TrajectoryObjective`.
    """

    noise: NoiseModel
    resamples: int

    def transport(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Clean estimates ``(batch, ...)`` of observations, inside the channel's support."""
        raise NotImplementedError

    @torch.no_grad()
    def clean(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> CleanEstimates:
        """Transport observations, without gradient, and repeat the result ``resamples`` times.

        Raises
        ------
        ValueError
            If observations lie outside the channel's support.
        """
        if isinstance(x1, Tensor):  # other kinds of batch are the business of whoever transports them
            self.noise.check_x1(x1)
        x0 = self.transport(model, x1, generator=generator, **condition)
        repeated = _repeat(condition, self.resamples, batch=x0.shape[0])
        return CleanEstimates(x0.repeat_interleave(self.resamples, 0), repeated)

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss on observations ``(batch, ...)``."""
        clean = self.clean(model if teacher is None else teacher, x1, generator=generator, **condition)
        return super().forward(model, clean.x0, teacher=teacher, generator=generator, **clean.condition)

    def _set_channel(self, noise: NoiseModel, resamples: int) -> None:
        if resamples < 1:
            msg = f"resamples is {resamples}; each clean estimate needs at least one new observation."
            raise ValueError(msg)
        self.noise, self.resamples = noise, resamples


def _repeat(condition: dict[str, Any], copies: int, *, batch: int) -> dict[str, Any]:
    """Repeat each tensor that has one row per sample; leave everything else."""
    return {
        key: value.repeat_interleave(copies, 0)
        if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == batch
        else value
        for key, value in condition.items()
    }
