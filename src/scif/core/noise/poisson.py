"""Poisson (shot) noise with a gain."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Per, Residuals, pool
from scif.core.noise._special import poisson_log_prob
from scif.core.noise.base import Equivalent, NoiseModel, Split
from scif.core.noise.binomial import Binomial
from scif.core.noise.moments import QuadraticMoments

__all__ = ["Poisson"]


class Poisson(NoiseModel):
    """``x1 = gain * Poisson(x0 / gain)``: mean ``x0``, variance ``gain * x0``.

    Parameters
    ----------
    gain
        Units of signal per counted event; 1 for counts. One number, or any shape that broadcasts.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Poisson
    >>> Poisson(0.5).moments(torch.tensor([[2.0, 4.0]])).variance.tolist()
    [[1.0, 2.0]]
    """

    elementwise = True
    support_x0 = Domain.POSITIVE
    support_x1 = Domain.POSITIVE
    gain: Tensor

    def __init__(self, gain: Any = 1.0) -> None:
        super().__init__()
        self.set_parameter("gain", gain, check_positive)
        self._choose_support()

    def _choose_support(self) -> None:
        self.support_x1 = Domain.COUNTS if bool((self.gain == 1).all()) else Domain.POSITIVE

    @override
    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._choose_support()  # another gain may have come

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        if self.support_x1 is Domain.COUNTS:  # the gain is one
            return _random.poisson(x0, generator)
        gain = self.parameter_for("gain", x0)
        return gain * _random.poisson(x0 / gain, generator)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        return QuadraticMoments(linear=self.parameter_for("gain", x0))

    @override
    def followed_by(self, after: NoiseModel) -> Equivalent | None:
        """Return the channel of captured counts, which are also Poisson."""
        if self.support_x1 is not Domain.COUNTS or not isinstance(after, Binomial):
            return None
        return Equivalent(self, after.captured)

    def counts(self, x1: Tensor) -> Tensor:
        """Number of events behind observations; ``ValueError`` if ``x1 / gain`` is not whole."""
        self.check_x1(x1)
        events = x1 / self.parameter_for("gain", x1)
        whole = events.round()
        if not torch.compiler.is_compiling():
            tolerance = 1e-3 + 4 * torch.finfo(x1.dtype).eps * whole
            stray = (events - whole).abs() > tolerance
            if bool(stray.any()):
                value = float(x1[stray].flatten()[0])
                msg = f"x1 contains {value:g}, not a multiple of the gain; fit the gain, or use PoissonGaussian."
                raise ValueError(msg)
        return whole

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log mass, entry by entry, at multiples of the gain."""
        self.check_pair(x1, x0)
        return poisson_log_prob(self.counts(x1), x0 / self.parameter_for("gain", x0))

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Binomial thinning: each event goes to the first part with probability ``fraction``."""
        share = self.fraction_for(fraction, x1)
        a = self.parameter_for("gain", x1) * _random.binomial(self.counts(x1), share, generator)
        # Rounding of the product may leave -1e-9 where every event went to the first part.
        return Split(a, (x1 - a).clamp_min(0), fraction)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """Log mass of a part: Poisson with mean ``fraction * x0``."""
        return self.log_prob(part, self.fraction_for(fraction, x0) * x0)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, per: Per = "all") -> Poisson:
        """Estimate the gain as the ratio of variance to mean, from pairs or from repeated frames.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``; without ``x0`` repeated frames ``(frames, ...)`` of one scene.
        x0
            Clean signals of the shape of ``x1``.
        per
            Entries that share a gain: ``"all"``, each ``"channel"`` (axis 1), or each ``"entry"``.
        """
        residuals = Residuals.of(x1, x0)
        return cls(pool(residuals.variance, per) / pool(residuals.clean, per))
