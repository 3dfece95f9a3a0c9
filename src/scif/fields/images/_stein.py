"""The anchor of images whose noise cannot be parted: an unbiased estimate of the squared error by Stein's identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_fraction, check_positive
from scif.core.noise import SteinKernel
from scif.core.noise.stein import mean_line
from scif.core.objective import LossOutput, Objective
from scif.fields.images._risk import Model
from scif.fields.images._skewness import around, skewness_ratio
from scif.fields.images._units import InUnits

__all__ = ["SteinRisk"]

_FLOOR = 0.01
"""Least variance of the added noise, in units of its mean: among pixels without any light it would be zero."""
_REACH = 5.0
"""Standard deviations of the noise that an estimate may be off its observation, in the kernel."""


class SteinRisk(Objective):
    r"""Mean squared error of ``c(., 1)`` against the clean image, without the clean image and without a split.

    With :math:`u` the observation after inverting the channel's mean and :math:`T` its Stein kernel
    (:class:`~scif.core.noise.SteinKernel`), :math:`E[x_0\, g(y)] = E[u\, g(y) - T(y, x_0)\, g'(y)]` for every function
    of an observed entry. For :math:`g(y) = E_z\, c(y + s z)`, the network under a little more noise, the derivative
    needs none of the network: it is :math:`E_z\, c(y + s z)\, z / s`. With :math:`a = y + s z` and its mirror image
    :math:`a' = y - s z`,

    .. math:: \tfrac12 (c(a) - u)^2 + \tfrac12 (c(a') - u)^2 + (c(a) - c(a'))\, \frac{T z}{s} - T u'

    has the expectation of :math:`(c(a) - x_0)^2`. This is the risk of mirrored parts
    (:class:`~scif.fields.images._risk.UnbiasedRisk`), with :math:`u - T z / s` for the very noisy part.

    The present estimate, without its gradient, stands in for :math:`x_0` in :math:`T`. At the posterior mean that is
    exact as long as :math:`T` is linear in :math:`x_0`, and nearly so otherwise, since the error of the estimate is
    much smaller than the noise. It is held within the noise's reach of the observation: a kernel grows with the
    estimate, and the estimate with the kernel, so that the risk would have no lower bound otherwise.

    The added noise follows the strength of the channel's, :math:`s^2 = v (1 - f) / f` with the variance :math:`v` at
    the mean of the pixels around, which the pixel itself has no part in: :math:`s` is as good as a constant.

    Parameters
    ----------
    noise
        The channel in the units of the network.
    kernel
        Its Stein kernel.
    fraction
        Share :math:`f` of the observation's information that is left in what the network sees.
    skewness
        That of the images' noise in units of the channel's: kernels follow the clean signal on average as the variance
        does, whatever the skewness, and move with the observation in proportion to it.

    References
    ----------
    Stein, Annals of Statistics 9 (1981); Ramani, Blu & Unser, IEEE Transactions on Image Processing 17 (2008).
    """

    name = "anchor"

    def __init__(self, noise: InUnits, kernel: SteinKernel, *, fraction: float = 0.9, skewness: float = 1.0) -> None:
        super().__init__()
        check_fraction(fraction)
        check_positive(skewness, name="skewness")
        self.noise, self.kernel, self.fraction, self.skewness = noise, kernel, float(fraction), float(skewness)

    @classmethod
    def measured(cls, noise: InUnits, x1: Tensor, *, fraction: float = 0.9) -> SteinRisk:
        """With the kernel and the skewness that a batch of observations calls for, many ``(n, channels, *spatial)``."""
        kernel = SteinKernel.measured(noise, _clean(noise, x1))
        return cls(noise, kernel, fraction=fraction, skewness=skewness_ratio(noise, kernel, x1))

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
        now, kappa = x1.new_ones(x1.shape[0]), (1 - self.fraction) / self.fraction
        u = self.kernel.invert(x1)
        variance = self.noise.moments(around(u, 1, 2)).variance
        s = (kappa * variance.clamp_min(_FLOOR * variance.mean().clamp_min(1e-12))).sqrt()
        z = torch.randn(x1.shape, generator=generator, dtype=x1.dtype, device=x1.device)
        of_a, of_mirror = model(x1 + s * z, now, **condition), model(x1 - s * z, now, **condition)
        x0 = ((of_a + of_mirror) / 2).detach()
        reach = _REACH * s / (kappa**0.5 * self.kernel.slope.to(x1.dtype))
        x0 = self.noise.to_network(self.noise.clean(x0.clamp(u - reach, u + reach)))
        kernel = self.kernel(x1, x0)
        if self.skewness != 1.0:
            variance = self.noise.moments(x0).variance / self.kernel.slope.to(x1.dtype)
            kernel = variance + self.skewness * (kernel - variance)
        kernel = kernel.clamp_min(0.0)  # as the true one is
        fit = ((of_a - u).square() + (of_mirror - u).square()) / 2
        risk: Tensor = fit + (of_a - of_mirror) * kernel * z / s - kernel / self.kernel.slope.to(x1.dtype)
        return risk


def _clean(noise: InUnits, x1: Tensor) -> Tensor:
    """Clean signals of about the right mean and spread: observations, drawn together by the share that is signal."""
    shift, slope = mean_line(noise, x1)
    u, pixels = (x1 - shift) / slope, (0, *range(2, x1.ndim))
    center = u.mean(pixels, keepdim=True)
    signal = 1 - noise.moments(u).variance.mean(pixels, keepdim=True) / x1.var(pixels, keepdim=True)
    return noise.to_network(noise.clean(center + signal.clamp(0.01, 1).sqrt() * (u - center)))
