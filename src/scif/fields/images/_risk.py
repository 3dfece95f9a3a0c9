"""The anchor of images: the squared error against the unseen clean image, estimated from the noisy one alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_fraction
from scif.core.noise.base import NoiseModel
from scif.core.objective import LossOutput, Objective
from scif.fields.images._frames import rows_of

Model = Callable[..., Tensor]
"""Anything called ``model(x, t)`` that returns clean estimates of the shape of ``x``: a network, or a filter."""

__all__ = ["Model", "OnPart", "UnbiasedRisk", "has_exact_split"]


class UnbiasedRisk(Objective):
    r"""Mean squared error of ``c(., 1)`` against the clean image, without the clean image.

    The observation is parted into :math:`a` and :math:`b`, both with mean :math:`x_0` and independent given it, of
    which :math:`a` is nearly the observation :math:`y` and :math:`b` is very noisy. Since
    :math:`E[c(a)\, b] = E[c(a)\, x_0]`,

    .. math:: (c(a) - y)^2 - 2\, (c(a) - c(y)) (b - y) - v, \quad v = \mathrm{Var}[y \mid x_0],

    has the expectation :math:`(c(a) - x_0)^2`. The term with :math:`c(y)` has mean zero; without it this is the plain
    prediction of one part from the other (:class:`~scif.core.Anchor` with a squared error), whose variance grows
    without bound as :math:`a` approaches :math:`y`. Here it does not, so that the network can be trained at almost
    the noise that it will meet. Where the parts may as well be mirrored at the observation, :math:`a' = 2y - a` and
    :math:`b' = 2y - b`, the mean over both pairs is taken,

    .. math:: \tfrac12 (c(a) - y)^2 + \tfrac12 (c(a') - y)^2 - (c(a) - c(a')) (b - y) - v,

    which costs no more, since :math:`c(y)` drops out, and scatters less.

    Channels without an exact split have :class:`~scif.fields.images._stein.SteinRisk`.

    Parameters
    ----------
    noise
        The channel.
    fraction
        Share of the observation's information that goes into ``a``.
    mirrored
        Whether to use mirrored parts, too; by the channel's ``mirrored_split`` if not given.

    References
    ----------
    Stein, Annals of Statistics 9 (1981); Pang, Zheng, Quan & Ji, "Recorrupted-to-recorrupted", CVPR 2021; Monroy,
    Bacca & Tachella, "Generalized recorrupted-to-recorrupted", CVPR 2025.
    """

    name = "anchor"

    def __init__(self, noise: NoiseModel, *, fraction: float = 0.9, mirrored: bool | None = None) -> None:
        super().__init__()
        check_fraction(fraction)
        self.noise, self.fraction = noise, float(fraction)
        self.mirrored = noise.mirrored_split if mirrored is None else mirrored

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Estimated squared error per entry, which may be negative; the target is real, so there is no teacher."""
        return LossOutput(self.pointwise(model, x1, generator=generator, **condition).mean())

    def pointwise(
        self, model: Model, x1: Tensor, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """The estimate for each entry, of the shape of ``x1``: right on average, far off one by one."""
        f, now = self.fraction, x1.new_ones(x1.shape[0])
        split = self.noise.split(x1, f, generator=generator)
        a, b = split.a / f, split.b / (1 - f)
        variance = f * (1 - f) * (a - b).square()
        of_a = model(a, now, **condition)
        if self.mirrored:
            of_mirror = model(2 * x1 - a, now, **condition)
            fit = ((of_a - x1).square() + (of_mirror - x1).square()) / 2
            return fit - (of_a - of_mirror) * (b - x1) - variance
        of_y = model(x1, now, **condition)
        return (of_a - x1).square() - 2 * (of_a - of_y) * (b - x1) - variance


class OnPart(Objective):
    """Another objective on the first rows of a batch alone: enough for a term of small weight and large cost.

    Parameters
    ----------
    objective
        The other objective.
    share
        Share of the rows, at least one of which is taken.
    """

    def __init__(self, objective: Objective, *, share: float) -> None:
        super().__init__()
        check_fraction(share, name="share")
        self.objective, self.share, self.name = objective, float(share), objective.name

    def set_step(self, step: int) -> None:
        """Pass the number of optimiser steps on."""
        self.objective.set_step(step)

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """The other objective's loss on ``x1[:n]``, and on as many rows of the conditions."""
        rows = slice(max(round(self.share * len(x1)), 1))
        some = rows_of(condition, rows)
        loss: LossOutput = self.objective(model, x1[rows], teacher=teacher, generator=generator, **some)
        return loss


def has_exact_split(noise: NoiseModel, x1: Tensor) -> bool:
    """Whether a channel can part these observations exactly: shot noise needs multiples of its gain, for one.

    The mean of the parts has to be the clean signal's, too, and not that of a biased channel.
    """
    if not (noise.splittable and noise.unbiased):
        return False
    try:
        noise.split(x1, 0.5, generator=torch.Generator().manual_seed(0))
    except ValueError:
        return False
    return True
