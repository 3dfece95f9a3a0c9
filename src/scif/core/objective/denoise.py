"""The posterior mean: a head trained on pairs that a finished inverse model makes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from scif.core._call import call_network
from scif.core.distance import Distance, SquaredError
from scif.core.objective.base import LossOutput, Objective
from scif.core.objective.inverse import Inverse

__all__ = ["Denoise"]


class Denoise(Objective):
    r"""Supervised denoising on re-noised pairs, which trains a head to return the posterior mean.

    A trained inverse model maps observations to clean estimates :math:`x_0`, whose distribution is the prior. The
    channel draws :math:`x_1' \sim p(\cdot | x_0)`. The head ``h`` minimises :math:`d(h(x_1', 1), x_0)`, so that
    :math:`h(x_1, 1) = E[x_0 | x_1]` under this prior. Its error is lower than that of the transported point, but so is
    its variance: see :func:`~scif.core.estimator.mean`. Add an :class:`Anchor` to tie the head to the real
    observations.

    Parameters
    ----------
    inverse
        Objective with which the inverse model was trained (:class:`InverseConsistency` or
        :class:`InverseFlowMatching`). It defines the channel and the transport.
    source
        The trained model; a frozen copy is kept.
    distance
        Bregman divergence, whose minimiser is a mean: the squared error (default) or the Poisson deviance.

    Examples
    --------
    >>> import torch
    >>> from scif.core import InverseConsistency, ConsistencyFunction, Denoise
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> trained, head = ConsistencyFunction(TimeMLP(2)), ConsistencyFunction(TimeMLP(2), skip="mean")
    >>> Denoise(InverseConsistency(Gaussian(1.0)), trained)(head, torch.randn(16, 2)).loss.requires_grad
    True
    """

    name = "denoise"

    def __init__(self, inverse: Inverse, source: nn.Module, *, distance: Distance | None = None) -> None:
        super().__init__()
        self.inverse = inverse
        self.source = copy.deepcopy(source).requires_grad_(False)
        self.distance = SquaredError() if distance is None else distance

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss of a head, called as ``model(x1, 1, **condition)``. Targets come from the source, not from a teacher."""
        clean = self.inverse.clean(self.source.eval(), x1, generator=generator, **condition)
        renoised = self.inverse.noise.sample(clean.x0, generator=generator)
        prediction = call_network(model, renoised, renoised.new_ones(renoised.shape[0]), **clean.condition)
        return LossOutput(self.distance(prediction, clean.x0).mean())
