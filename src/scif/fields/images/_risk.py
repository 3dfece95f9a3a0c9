"""The anchor of images: the squared error against the unseen clean image, estimated from the noisy one alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_fraction
from scif.core.domain import Domain
from scif.core.noise import CorrelatedGaussian, Gaussian
from scif.core.noise.base import NoiseModel
from scif.core.objective import LossOutput, Objective
from scif.fields.images._units import InUnits

__all__ = ["OnPart", "UnbiasedRisk", "find_lean", "has_exact_split", "is_symmetric"]


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

    Where the channel has no exact split the parts are made by adding and subtracting Gaussian noise. Its variance is
    the channel's at a point between the current estimate and the observation, ``lean`` of the way, brought to the
    right level on average: with :func:`find_lean` the parts are independent up to the third moment of the noise. A
    channel whose mean is a straight line in :math:`x_0` is first inverted.

    Parameters
    ----------
    noise
        The channel.
    fraction
        Share of the observation's information that goes into ``a``.
    exact
        Whether to part by the channel's own split.
    lean
        For parts that are not exact, see above.
    mirrored
        Whether to use mirrored parts, too. Right for Gaussian noise and for parts that are not exact.

    References
    ----------
    Stein, Annals of Statistics 9 (1981); Pang, Zheng, Quan & Ji, "Recorrupted-to-recorrupted", CVPR 2021; Monroy,
    Bacca & Tachella, "Generalized recorrupted-to-recorrupted", CVPR 2025.
    """

    name = "anchor"

    def __init__(
        self,
        noise: NoiseModel,
        *,
        fraction: float = 0.9,
        exact: bool = True,
        lean: float = 0.5,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        check_fraction(fraction)
        self.noise, self.fraction = noise, float(fraction)
        self.exact, self.lean, self.mirrored = exact, lean, mirrored

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
        if self.mirrored:
            return self._mirrored(model, x1, generator, condition)
        now = x1.new_ones(x1.shape[0])
        of_y = model(x1, now, **condition)
        parts = self._part(x1, of_y.detach(), generator)
        of_a = model(parts.a, now, **condition)
        risk = (of_a - parts.y).square() - 2 * (of_a - of_y) * (parts.b - parts.y) - parts.variance
        return LossOutput(risk.mean())

    def _mirrored(
        self, model: nn.Module, x1: Tensor, generator: torch.Generator | None, condition: dict[str, Any]
    ) -> LossOutput:
        """The mean over the parts and their mirror images."""
        now = x1.new_ones(x1.shape[0])
        if self.exact:
            parts = self._part(x1, x1, generator)
        else:
            with torch.no_grad():
                parts = self._part(x1, model(x1, now, **condition), generator)
        of_a, of_mirror = model(parts.a, now, **condition), model(2 * x1 - parts.a, now, **condition)
        fit = ((of_a - parts.y).square() + (of_mirror - parts.y).square()) / 2
        return LossOutput((fit - (of_a - of_mirror) * (parts.b - parts.y) - parts.variance).mean())

    def _part(self, x1: Tensor, x0: Tensor, generator: torch.Generator | None) -> _Parts:
        """Parts of the observations, given the present estimate of the clean image."""
        f = self.fraction
        if self.exact:
            split = self.noise.split(x1, f, generator=generator)
            a, b = split.a / f, split.b / (1 - f)
            return _Parts(a=a, b=b, y=x1, variance=f * (1 - f) * (a - b).square())
        slope, shift = _line(self.noise, x0)
        y = (x1 - shift) / slope
        level = _variance(self.noise, x0).mean()
        variance = _variance(self.noise, x0 + self.lean * (y - x0))
        variance = variance * level / variance.mean()
        z = torch.randn(x1.shape, generator=generator, dtype=x1.dtype, device=x1.device) * variance.sqrt()
        return _Parts(
            a=x1 + z * ((1 - f) / f) ** 0.5,
            b=y - z * (f / (1 - f)) ** 0.5 / slope,
            y=y,
            variance=variance / slope.square(),
        )


@dataclass(frozen=True)
class _Parts:
    """``a`` as an observation; ``b`` and ``y`` with mean ``x0``; an estimate of the variance of ``y``."""

    a: Tensor
    b: Tensor
    y: Tensor
    variance: Tensor


class OnPart(Objective):
    """Another objective on the first rows of a batch alone: enough for a term of small weight and large cost.

    Parameters
    ----------
    objective
        The other objective, of observations without conditions.
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

    def forward(self, model: nn.Module, x1: Any, **options: Any) -> LossOutput:
        """The other objective's loss on ``x1[:n]``."""
        loss: LossOutput = self.objective(model, x1[: max(round(self.share * len(x1)), 1)], **options)
        return loss


def has_exact_split(noise: NoiseModel, x1: Tensor) -> bool:
    """Whether a channel can part these observations exactly: shot noise needs multiples of its gain, for one."""
    if not noise.splittable:
        return False
    try:
        noise.split(x1, 0.5, generator=torch.Generator().manual_seed(0))
    except ValueError:
        return False
    return True


def is_symmetric(noise: NoiseModel) -> bool:
    """Whether the exact parts of a channel may be mirrored at the observation without losing their independence."""
    return isinstance(_channel(noise), Gaussian | CorrelatedGaussian)


def find_lean(noise: NoiseModel, x1: Tensor) -> float:
    r"""The ``lean`` of :class:`UnbiasedRisk` with which the parts of a channel's skewed noise are least correlated.

    For noise :math:`n` of variance :math:`V`, which grows with the mean at a rate :math:`V'`, parts made with the
    variance :math:`V + \lambda V' n` have :math:`E[(a - x_0)^2 (b - x_0)] = E[n^3] - 2 \lambda V V'` as ``fraction``
    goes to one: :math:`\lambda` is one half for Poisson noise and all natural exponential families. For beta
    distributions it is one, which is Stein's identity. Here it is measured on draws of the channel: the parts are to
    be uncorrelated through edges at several heights, and that correlation is a straight line in :math:`\lambda`.

    Parameters
    ----------
    noise
        The channel.
    x1
        Observations, many; clean signals of about the right spread are made of them.
    """
    slope, shift = _line(noise, x1)
    y = (x1 - shift) / slope
    signal = 1 - _variance(noise, y).mean() / x1.var()
    x0 = y.mean() + signal.clamp(0.01, 1).sqrt() * (y - y.mean())
    x0 = (noise.moments(noise.support_x0.project(x0)).mean - shift) / slope  # what the channel takes it for
    x0 = torch.cat([x0] * max(500_000 // x0.numel(), 1))

    def correlation(lean: float) -> Tensor:
        rng = torch.Generator().manual_seed(0)
        observed = noise.sample(noise.support_x0.project(x0), generator=rng)
        parts = UnbiasedRisk(noise, exact=False, lean=lean)._part(observed, x0, rng)
        mirrored = _Parts(2 * observed - parts.a, 2 * parts.y - parts.b, parts.y, parts.variance)
        found = []
        for edge in edges:
            both = [((one.a - edge).relu() - (x0 - edge).relu(), one) for one in (parts, mirrored)]
            through = sum((change * (one.b - x0)).mean() for change, one in both)
            found.append(through / sum((change * (one.y - x0)).mean() for change, one in both))
        return torch.stack(found)

    edges = x0.flatten()[:: max(x0.numel() // 100_000, 1)].quantile(torch.tensor([0.05, 0.2, 0.5, 0.8, 0.95]).to(x0))
    none, full = correlation(0.0), correlation(1.0)
    power = float((full - none).square().sum())
    if power == 0:
        return 0.0
    lean = float((none * (none - full)).sum()) / power * _skewness_ratio(noise, x1)
    return min(max(lean, 0.0), 1.0)


def _skewness_ratio(noise: NoiseModel, x1: Tensor) -> float:
    """Skewness of the observations' finest details over that of the channel's around a smoothed image; 0.5 to 2."""
    slope, shift = _line(noise, x1)
    y = (x1 - shift) / slope
    smooth = nn.functional.avg_pool2d(y.flatten(0, -3), 5, stride=1, padding=2, count_include_pad=False).view_as(y)
    again = noise.sample(noise.support_x0.project(smooth), generator=torch.Generator().manual_seed(1))
    seen, expected = (_skewness(noise, one) for one in (y, (again - shift) / slope))
    error = ((seen.var() + expected.var()) / len(seen)).sqrt()
    if expected.mean().abs() < 4 * error or (seen.mean() - expected.mean()).abs() < 4 * error:
        return 1.0  # too little to tell one from the other
    return min(max(float(seen.mean() / expected.mean()), 0.5), 2.0)


def _skewness(noise: NoiseModel, y: Tensor) -> Tensor:
    """Cubes of the details of 2 x 2 pixels, in units of the noise; their mean vanishes where noise is symmetric.

    The detail is uncorrelated with the mean of the pixels, which tells how strong the noise is. Structure is as often
    darker than its surroundings as brighter.
    """
    rows, columns = (n // 2 * 2 for n in y.shape[-2:])
    a, b, c, d = (y[..., i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
    variance = _variance(noise, (a + b + c + d) / 4)
    return ((3 * d - a - b - c) ** 3 / (variance + variance.mean()) ** 1.5).flatten()


def _variance(noise: NoiseModel, x0: Tensor) -> Tensor:
    """Variance of the observations of clean signals, which may lie outside the channel's support a little.

    On the unit interval it is a parabola in the clean signal, of beta distributions and of Jacobi diffusion alike.
    Observations reach beyond the means of the darkest and the brightest signal: there the parabola goes on, down to
    zero at the ends of the interval, as Stein's identity for beta distributions wants it.
    """
    form = noise.quadratic_moments(x0) if _channel(noise).support_x0 is Domain.UNIT else None
    if form is None:
        return noise.moments(noise.support_x0.project(x0)).variance
    return form.of(x0).variance.clamp_min(0.0)


def _channel(noise: NoiseModel) -> NoiseModel:
    """The channel itself, without the units of the network."""
    return noise.noise if isinstance(noise, InUnits) else noise


def _line(noise: NoiseModel, like: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and height of the channel's mean as a function of the clean signal, around zero."""
    low = torch.zeros_like(like[:1])
    at_low, at_high = noise.moments(low).mean, noise.moments(low + 0.1).mean
    return (at_high - at_low) / 0.1, at_low
