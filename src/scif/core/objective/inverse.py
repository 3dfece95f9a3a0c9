"""Inverse training: an objective for clean signals, applied to clean signals that the model makes of observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_batch
from scif.core.coupling import ChannelCoupling
from scif.core.noise.base import NoiseModel
from scif.core.objective.base import LossOutput, Objective
from scif.core.objective.trajectory import TrajectoryObjective
from scif.core.schedule import GrowingSteps

__all__ = ["CleanEstimates", "Inverse"]


@dataclass(frozen=True)
class CleanEstimates:
    """Clean estimates ``x0``, each repeated as often as it will be re-noised, with matching conditions."""

    x0: Tensor
    """Clean estimates, ``(batch * resamples, ...)``."""
    condition: dict[str, Any]
    """Named conditions of the network, repeated in the same way."""


class Inverse(Objective):
    """Turn an objective for clean signals into one for observations, the only data of an inverse problem.

    The model itself (or its teacher, if there is one) transports the observations to clean estimates, without gradient.
    The channel draws ``resamples`` new observations of each estimate, and the inner objective trains on these pairs.
    :class:`InverseConsistency` is ``Inverse(GCT(ChannelCoupling(noise)))``, and :class:`InverseFlowMatching` is the
    same with :class:`FlowMatching`. Your own objective composes in the same way.

    Parameters
    ----------
    objective
        Objective for clean signals, whose coupling draws the observations:
        :class:`~scif.core.coupling.ChannelCoupling`.
    resamples
        Number of new observations of each clean estimate.

    Raises
    ------
    TypeError
        If the coupling of the objective does not draw from a channel.

    Examples
    --------
    >>> import torch
    >>> from scif.core import GCT, ChannelCoupling, ConsistencyFunction, Inverse
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> objective = Inverse(GCT(ChannelCoupling(Gaussian(0.2)), num_steps=20))
    >>> objective(ConsistencyFunction(TimeMLP(2), noise_scale=0.2), torch.randn(16, 2)).loss.requires_grad
    True
    """

    noise: NoiseModel
    """The channel."""
    resamples: int
    """Number of new observations of each clean estimate."""

    def __init__(self, objective: TrajectoryObjective, *, resamples: int = 1) -> None:
        super().__init__()
        coupling = getattr(objective, "coupling", None)
        if not isinstance(coupling, ChannelCoupling):
            msg = (
                f"objective is {type(objective).__name__} with {type(coupling).__name__} for a coupling; observations "
                "come from a channel: pass an objective on ChannelCoupling(noise), as in GCT(ChannelCoupling(noise))."
            )
            raise TypeError(msg)
        if resamples < 1:
            msg = f"resamples is {resamples}; each clean estimate needs at least one new observation."
            raise ValueError(msg)
        self.name = f"inverse_{objective.name}"
        self.objective, self.noise, self.resamples = objective, coupling.noise, resamples

    @property
    def num_steps(self) -> int | GrowingSteps:
        """Number of time steps of the inner objective, fixed or growing."""
        return self.objective.num_steps

    @property
    def grid(self) -> Tensor:
        """Times of the inner objective."""
        return self.objective.grid

    def set_step(self, step: int) -> None:
        """Pass on the number of optimiser steps."""
        self.objective.set_step(step)

    def transport(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Clean estimates ``(batch, ...)`` inside the channel's support. Override it for another transport."""
        x0 = self.objective.transport(model, x1, generator=generator, **condition)
        return self.noise.support_x0.project(x0)

    @torch.no_grad()
    def clean(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> CleanEstimates:
        """Transport observations without gradient, and repeat the result ``resamples`` times.

        Raises
        ------
        ValueError
            If observations lie outside the channel's support.
        """
        check_batch(x1, name="x1")
        if isinstance(x1, Tensor):  # other kinds of batch are checked by whoever transports them
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
        loss: LossOutput = self.objective(model, clean.x0, teacher=teacher, generator=generator, **clean.condition)
        return loss


def _repeat(condition: dict[str, Any], copies: int, *, batch: int) -> dict[str, Any]:
    """Repeat each tensor that has one row per sample; leave everything else."""
    return {
        key: value.repeat_interleave(copies, 0)
        if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == batch
        else value
        for key, value in condition.items()
    }
