"""Multiplicative gamma noise (speckle of averaged intensity images)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Per, Residuals, pool
from scif.core.noise._special import stirling_rest, xlogy
from scif.core.noise.base import NoiseModel, Split
from scif.core.noise.moments import QuadraticMoments

__all__ = ["Gamma"]


class Gamma(NoiseModel):
    """``x1 = x0 * G`` with ``G`` gamma of shape ``k`` and rate ``k``: mean ``x0``, variance ``x0**2 / k``.

    Samples are differentiable in ``x0`` and in the shape.

    Parameters
    ----------
    shape
        Shape ``k``, the number of looks of a speckle image: one number, or any shape that broadcasts. A relative
        standard deviation ``s`` corresponds to ``k = 1 / s**2``.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Gamma
    >>> Gamma(4.0).moments(torch.tensor([[2.0]])).variance.item()
    1.0
    """

    elementwise = True
    support_x0 = Domain.POSITIVE
    support_x1 = Domain.POSITIVE
    shape: Tensor

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.set_parameter("shape", shape, check_positive)

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        shape = self.parameter_for("shape", x0).expand_as(x0)
        return x0 * (_random.standard_gamma(shape, generator) / shape)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        return QuadraticMoments(quadratic=1 / self.parameter_for("shape", x0))

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density, entry by entry; ``x0`` must not be zero, because ``x1`` then has no density."""
        return self._log_density(x1, x0, torch.ones_like(x0))

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Split ``x1`` with a fraction from a beta distribution with parameters ``f k`` and ``(1 - f) k``."""
        self.check_x1(x1)
        share = self.fraction_for(fraction, x1)
        shape = self.parameter_for("shape", x1).expand_as(x1)
        odds = _random.beta_log_odds(share * shape, (1 - share) * shape, generator)
        # both parts from the odds: x1 - a would be zero, which a gamma part never is, where the share rounds to one
        smallest = torch.finfo(x1.dtype).tiny
        a, b = ((x1 * torch.sigmoid(part)).clamp_min(smallest).minimum(x1) for part in (odds, -odds))
        return Split(a, b, fraction)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """Log density of a part: gamma with mean ``f x0`` and shape ``f k``."""
        return self._log_density(part, x0, self.fraction_for(fraction, x0))

    def _log_density(self, x1: Tensor, x0: Tensor, share: Tensor) -> Tensor:
        """Log density of a gamma law of mean ``share * x0`` and shape ``share * k``."""
        self.check_pair(x1, x0)
        check_positive(x0, name="x0 of a gamma density")
        shape, mean = share * self.parameter_for("shape", x0), share * x0
        ratio = x1 / mean
        return xlogy(shape - 1, ratio) - shape * (ratio - 1) - stirling_rest(shape) - mean.log()

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, per: Per = "all") -> Gamma:
        """Estimate the shape as the ratio of squared mean to variance, from pairs or from repeated frames.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``; without ``x0`` repeated frames ``(frames, ...)`` of one scene.
        x0
            Clean signals of the shape of ``x1``.
        per
            Entries that share a shape: ``"all"``, each ``"channel"`` (axis 1), or each ``"entry"``.
        """
        residuals = Residuals.of(x1, x0)
        return cls(pool(residuals.clean_square, per) / pool(residuals.variance, per))
