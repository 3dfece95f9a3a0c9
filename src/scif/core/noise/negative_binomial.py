"""Negative binomial counts: Poisson noise with extra, gamma-distributed spread."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive, check_same_shape
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Per, Residuals, pool
from scif.core.noise._special import stirling_rest, xlog_ratio
from scif.core.noise.base import Equivalent, NoiseModel, Split
from scif.core.noise.binomial import Binomial
from scif.core.noise.moments import QuadraticMoments

__all__ = ["NegativeBinomial"]


class NegativeBinomial(NoiseModel):
    """Counts with mean ``x0`` and variance ``x0 + x0**2 / inverse_dispersion``.

    The overdispersion counts as measurement noise. To keep it as biological variation, use
    :class:`~scif.core.noise.Poisson`, the limit of infinite inverse dispersion.

    Parameters
    ----------
    inverse_dispersion
        One number, one per gene ``(genes,)``, or any shape that broadcasts.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import NegativeBinomial
    >>> NegativeBinomial(2.0).moments(torch.tensor([[4.0]])).variance.item()
    12.0
    """

    elementwise = True
    support_x0 = Domain.POSITIVE
    support_x1 = Domain.COUNTS
    inverse_dispersion: Tensor

    def __init__(self, inverse_dispersion: Any) -> None:
        super().__init__()
        self.set_parameter("inverse_dispersion", inverse_dispersion, check_positive)

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        theta = self.parameter_for("inverse_dispersion", x0).expand_as(x0)
        return _random.poisson(x0 * (_random.standard_gamma(theta, generator) / theta), generator)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        return QuadraticMoments(linear=1.0, quadratic=1 / self.parameter_for("inverse_dispersion", x0))

    @override
    def followed_by(self, after: NoiseModel) -> Equivalent | None:
        """Return the channel of captured counts, which have the same inverse dispersion."""
        return Equivalent(self, after.captured) if isinstance(after, Binomial) else None

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log mass, entry by entry."""
        return self._log_mass(x1, x0, torch.ones_like(x0))

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Beta-binomial thinning with parameters ``f theta`` and ``(1 - f) theta``, ``theta`` the inverse dispersion.

        The parts are negative binomial with inverse dispersions ``f theta`` and ``(1 - f) theta``; they are
        independent only if the inverse dispersion is right.
        """
        self.check_x1(x1)
        share = self.fraction_for(fraction, x1)
        theta = self.parameter_for("inverse_dispersion", x1).expand_as(x1)
        a = _random.binomial(x1, _random.beta(share * theta, (1 - share) * theta, generator), generator)
        return Split(a, x1 - a, fraction)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """Log mass of a part: negative binomial with mean ``f x0`` and inverse dispersion ``f theta``."""
        return self._log_mass(part, x0, self.fraction_for(fraction, x0))

    def _log_mass(self, x1: Tensor, x0: Tensor, share: Tensor) -> Tensor:
        self.check_pair(x1, x0)
        theta, mean, after = share * self.parameter_for("inverse_dispersion", x0), share * x0, x1 + 1
        # Written with Stirling remainders, since differences of large log-gammas have no digits left in float32.
        combinations = xlog_ratio(x1, mean, after) - after.log() + 1 - stirling_rest(after)
        spread = (x1 + theta) * (torch.log1p(x1 / theta) - torch.log1p(mean / theta))
        return combinations + spread + stirling_rest(x1 + theta) - stirling_rest(theta)

    @classmethod
    def fit(
        cls,
        x1: Tensor,
        x0: Tensor | None = None,
        *,
        library_size: Tensor | None = None,
        per: Per = "entry",
        ceiling: float = 1e6,
    ) -> NegativeBinomial:
        """Estimate the inverse dispersion by moments.

        Parameters
        ----------
        x1
            Counts ``(cells, genes)``.
        x0
            Expected counts, with the shape of ``x1``. By default all cells are assumed to share one profile, so
            differences between cells count as dispersion and the fit is an upper bound of the technical dispersion.
        library_size
            Depth per cell ``(cells,)``, to scale the shared profile; used only without ``x0``.
        per
            Entries that share a value: each ``"entry"`` (gene), each ``"channel"``, or ``"all"``.
        ceiling
            Value for genes that vary no more than Poisson counts.
        """
        if x0 is None and library_size is not None:
            residuals = _shared_profile(x1, library_size)
        else:
            residuals = Residuals.of(x1, x0)
        excess = pool(residuals.variance, per) - pool(residuals.clean, per)
        square = pool(residuals.clean_square, per)
        varied = excess * ceiling > square
        theta = square / torch.where(varied, excess, torch.ones_like(excess))
        # A gene never counted has no moments to speak of: as good as Poisson.
        return cls(torch.where(varied & (theta > 0), theta, torch.full_like(theta, ceiling)))


def _shared_profile(x1: Tensor, library_size: Tensor) -> Residuals:
    """Residuals from one profile shared by all cells, scaled by each cell's library size."""
    depth = torch.as_tensor(library_size, dtype=x1.dtype, device=x1.device)
    check_same_shape(depth, x1.new_empty(len(x1)), names=("library_size", "the list of cells"))
    check_positive(depth, name="library_size")
    if len(x1) < 2:
        msg = f"x1 has {len(x1)} cell; at least 2 are needed without x0."
        raise ValueError(msg)
    expected = depth.reshape(-1, *[1] * (x1.ndim - 1)) * (x1.sum(0) / depth.sum())
    return Residuals(expected, expected.square(), (x1 - expected).square() * len(x1) / (len(x1) - 1))
