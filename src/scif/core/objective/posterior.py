"""The posterior: a head trained to draw clean signals given an observation."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from scif.core.coupling import Coupled, Coupling
from scif.core.objective.base import LossOutput
from scif.core.objective.flow_matching import FlowMatching
from scif.core.objective.inverse import Inverse
from scif.core.scaling import Scaling

__all__ = ["Posterior"]


class Posterior(FlowMatching):
    r"""Flow matching for posterior draws, on re-noised pairs from a trained inverse model.

    As in :class:`Denoise`, a trained model gives clean estimates :math:`x_0`, and the channel draws observations
    :math:`x_1'` of them. The head is a conditional generator: :class:`FlowMatching` from noise to :math:`x_0`, given
    :math:`x_1'`. For a real observation it draws from :math:`p(x_0 | x_1)`. It uses flow matching rather than
    consistency training because a time grid would shrink the spread of the draws.

    Parameters
    ----------
    inverse
        Objective with which the inverse model was trained.
    source
        The trained model, a :class:`~scif.core.consistency.ConsistencyFunction` or
        :class:`~scif.core.velocity.Velocity`; a frozen copy is kept. Its scales set the scales of the noise.
    """

    name = "posterior"

    def __init__(self, inverse: Inverse, source: nn.Module) -> None:
        super().__init__(_DataScaleNoise(scaling_of(source)), num_steps=1)
        self.inverse = inverse
        self.source = copy.deepcopy(source).requires_grad_(False)

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss of a head, called as ``model(x_t, t, observed=x1, **condition)``."""
        clean = self.inverse.clean(self.source.eval(), x1, generator=generator, **condition)
        observed = self.inverse.noise.sample(clean.x0, generator=generator)
        condition = {**clean.condition, "observed": observed}
        return super().forward(model, clean.x0, teacher=teacher, generator=generator, **condition)


def scaling_of(source: nn.Module) -> Scaling:
    """The scales of a trained model."""
    scaling = getattr(source, "scaling", None)
    if not isinstance(scaling, Scaling):
        msg = f"source is a {type(source).__name__} without scales; pass a ConsistencyFunction or a Velocity."
        raise TypeError(msg)
    return scaling


class _DataScaleNoise(Coupling):
    """Normal noise of the mean and the scale of the clean signal."""

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        return Coupled(x0, self.scaling.data_mean.to(x0) + self.scaling.data_scale.to(x0) * x1)
