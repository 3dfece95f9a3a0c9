"""Shot noise plus read noise: the noise of a camera."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Residuals
from scif.core.noise._special import poisson_log_prob
from scif.core.noise.base import NoiseModel
from scif.core.noise.moments import QuadraticMoments

__all__ = ["PoissonGaussian"]

_NATS = 32.0
"""Terms of the density this far below the largest, in natural logarithms, are left out."""


class PoissonGaussian(NoiseModel):
    """``x1 = gain * Poisson(x0 / gain) + offset + sigma z``: mean ``x0 + offset``, variance ``gain x0 + sigma**2``.

    The number of events behind an observation is unknown, so there is no exact split.

    Parameters
    ----------
    gain
        Units of signal per counted event.
    sigma
        Standard deviation of the read noise in units of signal.
    offset
        Value recorded in the dark. ``gain``, ``sigma`` and ``offset`` are numbers, or tensors of any shape that
        broadcasts.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import PoissonGaussian
    >>> camera = PoissonGaussian(2.0, 3.0, offset=100.0)
    >>> moments = camera.moments(torch.tensor([[50.0]]))
    >>> moments.mean.item(), moments.variance.item()
    (150.0, 109.0)
    """

    elementwise = True
    support_x0 = Domain.POSITIVE
    gain: Tensor
    sigma: Tensor
    offset: Tensor

    def __init__(self, gain: Any, sigma: Any, *, offset: Any = 0.0) -> None:
        super().__init__()
        self.set_parameter("gain", gain, check_positive)
        self.set_parameter("sigma", sigma, check_positive)
        self.set_parameter("offset", offset, Domain.REAL.check)
        self.unbiased = bool((self.offset == 0).all())

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        gain, sigma, offset = (self.parameter_for(name, x0) for name in ("gain", "sigma", "offset"))
        return gain * _random.poisson(x0 / gain, generator) + offset + sigma * _random.normal(x0, generator)

    @override
    def without_offset(self) -> tuple[PoissonGaussian, Tensor]:
        return PoissonGaussian(self.gain, self.sigma), self.offset

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        gain, sigma, offset = (self.parameter_for(name, x0) for name in ("gain", "sigma", "offset"))
        return QuadraticMoments(shift=offset, constant=sigma.square(), linear=gain)

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density, entry by entry: a sum over the hidden number of events near its most likely value.

        Needs memory for about ``16 min(sigma / gain, sqrt(x0 / gain))`` copies of ``x0``.
        """
        self.check_pair(x1, x0)
        gain, sigma, offset = (self.parameter_for(name, x0) for name in ("gain", "sigma", "offset"))
        rate, seen, spread = x0 / gain, (x1 - offset) / gain, sigma / gain
        centre, half = _likeliest_events(rate.detach(), seen.detach(), spread.detach())
        events = centre.unsqueeze(-1) + torch.arange(-half, half + 1, dtype=x0.dtype, device=x0.device)
        misfit = (events - seen.unsqueeze(-1)) / spread.expand_as(x0).unsqueeze(-1)
        terms = poisson_log_prob(events.clamp_min(0), rate.unsqueeze(-1)) - 0.5 * misfit.square()
        terms = torch.where(events >= 0, terms, -torch.inf)
        return torch.logsumexp(terms, -1) - sigma.log() - 0.5 * math.log(2 * math.pi)

    @classmethod
    def fit(
        cls, x1: Tensor, x0: Tensor | None = None, *, offset: float | Tensor | None = None, rounds: int = 5
    ) -> PoissonGaussian:
        """Estimate gain and read noise from the straight line of variance against mean, by reweighted least squares.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``; without ``x0`` repeated frames ``(frames, ...)`` of one scene with bright
            and dark places.
        x0
            Clean signals of the shape of ``x1``.
        offset
            Value recorded in the dark. By default it is estimated if ``x0`` is given, and zero otherwise.
        rounds
            Number of reweightings.

        Raises
        ------
        ValueError
            If the line crosses zero, so no read noise is left.
        """
        if offset is None:
            offset = 0.0 if x0 is None else (x1 - x0).mean()
        residuals = Residuals.of(x1 - offset, x0)
        mean, variance = residuals.clean.flatten(), residuals.variance.flatten()
        design = torch.stack([torch.ones_like(mean), mean], -1)
        fitted = variance.mean().expand_as(variance)
        for _ in range(rounds):
            # An estimated variance scatters in proportion to the variance itself.
            weight = 1 / fitted.clamp_min(1e-6 * variance.mean())
            line = torch.linalg.lstsq(design * weight[:, None], (variance * weight)[:, None]).solution.squeeze(-1)
            fitted = design @ line
        if not (line > 0).all():
            msg = (
                f"the fitted line has read-noise variance {float(line[0]):g} and gain {float(line[1]):g}, and both "
                "must be positive; use Poisson.fit or Gaussian.fit, or more frames with a wider range of intensities."
            )
            raise ValueError(msg)
        return cls(line[1], line[0].sqrt(), offset=offset)


def _likeliest_events(rate: Tensor, seen: Tensor, spread: Tensor) -> tuple[Tensor, int]:
    """Likeliest number of events given the reading, and a half-width beyond which terms are negligible."""
    precision = 1 / spread.square()
    # Newton's method on a convex falling function: after one step it climbs to the root from the left.
    mode = ((rate + (rate + 1) * precision * seen) / (1 + (rate + 1) * precision)).clamp_min(0)
    for _ in range(12):
        slope = torch.log(rate) - torch.digamma(mode + 1) - (mode - seen) * precision
        curvature = torch.polygamma(1, mode + 1) + precision
        mode = (mode + slope / curvature).clamp_min(0)
    # The log of a term falls at least as fast as either of its factors alone.
    gaussian = math.sqrt(2 * _NATS) * spread
    poisson = _NATS + (_NATS**2 + 2 * _NATS * (mode + 1)).sqrt()
    return mode.round(), int(torch.minimum(gaussian, poisson).max().ceil()) + 1
