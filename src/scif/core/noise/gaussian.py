"""Additive white Gaussian noise."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive
from scif.core.noise import _random
from scif.core.noise._fit import Per, Residuals, pool
from scif.core.noise.base import Equivalent, NoiseModel, Split
from scif.core.noise.moments import QuadraticMoments

__all__ = ["Gaussian"]


class Gaussian(NoiseModel):
    """``x1 = x0 + sigma z`` with independent standard normal ``z``.

    Samples are differentiable in ``x0`` and in ``sigma``.

    Parameters
    ----------
    sigma
        Standard deviation in the units of the signal: one number, one per entry ``(height, width)``, per channel
        ``(channels, 1, 1)`` or per sample ``(batch, 1, ...)``.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Gaussian
    >>> noise = Gaussian(0.1)
    >>> x1 = noise.sample(torch.zeros(2, 3), generator=torch.Generator().manual_seed(0))
    >>> parts = noise.split(x1, 0.3)
    >>> torch.allclose(parts.a + parts.b, x1)
    True
    """

    elementwise = True
    mirrored_split = True
    sigma: Tensor

    def __init__(self, sigma: Any) -> None:
        super().__init__()
        self.set_parameter("sigma", sigma, check_positive)

    def noise(self, like: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw the additive noise alone, with the shape of ``like``."""
        return self.parameter_for("sigma", like) * _random.normal(like, generator)

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        return x0 + self.noise(x0, generator=generator)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        return QuadraticMoments(constant=self.parameter_for("sigma", x0).square())

    @override
    def followed_by(self, after: NoiseModel) -> Equivalent | None:
        """Independent Gaussian noise adds up; correlated noise is handled by a subclass."""
        if type(self) is not Gaussian or type(after) is not Gaussian:
            return None
        return Equivalent(Gaussian(torch.hypot(self.sigma, after.sigma)), lambda x0: x0)

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density, entry by entry."""
        self.check_pair(x1, x0)
        return self._log_density(x1 - x0, torch.ones_like(x1))

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Split into ``f x1 + sqrt(f (1 - f)) n`` and the rest, where ``n`` is another draw of the noise.

        The parts carry noise of variance ``f sigma**2`` and ``(1 - f) sigma**2``.
        """
        self.check_x1(x1)
        share = self.fraction_for(fraction, x1)
        a = share * x1 + (share * (1 - share)).sqrt() * self.noise(x1, generator=generator)
        return Split(a, x1 - a, fraction)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """Log density of a part: Gaussian around ``f x0`` with variance ``f sigma**2``."""
        self.check_pair(part, x0)
        share = self.fraction_for(fraction, x0)
        return self._log_density(part - share * x0, share.sqrt().expand_as(x0))

    def _log_density(self, residual: Tensor, factor: Tensor) -> Tensor:
        """Log density of a residual whose standard deviation is ``factor * sigma``."""
        scale = factor * self.parameter_for("sigma", residual)
        return -0.5 * (residual / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, per: Per = "all") -> Gaussian:
        """Standard deviation of the residuals.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``; without ``x0`` repeated frames ``(frames, ...)`` of one scene.
        x0
            Clean signals of the shape of ``x1``.
        per
            Entries that share a sigma: ``"all"``, each ``"channel"`` (axis 1), or each ``"entry"``.
        """
        return cls(pool(Residuals.of(x1, x0).variance, per).sqrt())
