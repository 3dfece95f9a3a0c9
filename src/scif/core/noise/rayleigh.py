"""Multiplicative Rayleigh noise (speckle of amplitude images)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive, check_same_shape
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Per, pool
from scif.core.noise.base import NoiseModel
from scif.core.noise.moments import QuadraticMoments

__all__ = ["Rayleigh"]

_UNBIASED = math.sqrt(2 / math.pi)
"""The scale of mean one."""


class Rayleigh(NoiseModel):
    """``x1 = x0 * (shift + R)`` with ``R`` Rayleigh of the given scale.

    The mean is ``x0`` times :attr:`mean_factor`, ``shift + scale sqrt(pi / 2)``, and the variance ``(2 - pi / 2) (scale
    x0)**2``. With the default scale the channel is unbiased; the publication's code uses ``shift=1``, so its mean
    exceeds ``x0`` at any scale. A sum of Rayleigh variables is not Rayleigh, so there is no exact split.

    Parameters
    ----------
    scale
        Mode of ``R``: one number, or any shape that broadcasts.
    shift
        Fraction of the signal without speckle.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Rayleigh
    >>> Rayleigh().unbiased, Rayleigh(0.2, shift=1.0).unbiased
    (True, False)
    """

    elementwise = True
    support_x0 = Domain.POSITIVE
    support_x1 = Domain.POSITIVE
    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Any = _UNBIASED, *, shift: Any = 0.0) -> None:
        super().__init__()
        self.set_parameter("scale", scale, check_positive)
        self.set_parameter("shift", shift, check_positive, strict=False)
        self.unbiased = bool(torch.allclose(self.mean_factor, torch.ones_like(self.mean_factor), atol=1e-6))

    @property
    def mean_factor(self) -> Tensor:
        """``E[x1 | x0] / x0``."""
        return self.shift + math.sqrt(math.pi / 2) * self.scale

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``x1``; differentiable in ``x0`` and in the parameters."""
        self.check_x0(x0)
        # The inverse of the distribution function; one minus a number in [0, 1) is never zero.
        speckle = (-2 * torch.log1p(-_random.uniform(x0, generator))).sqrt()
        return x0 * (self.parameter_for("shift", x0) + self.parameter_for("scale", x0) * speckle)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        scale, shift = self.parameter_for("scale", x0), self.parameter_for("shift", x0)
        mean = shift + math.sqrt(math.pi / 2) * scale
        return QuadraticMoments(scale=mean, quadratic=(2 - math.pi / 2) * scale.square())

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density, entry by entry; ``x0`` must not be zero, because ``x1`` then has no density."""
        self.check_pair(x1, x0)
        check_positive(x0, name="x0 of a Rayleigh density")
        scale = self.parameter_for("scale", x0)
        speckle = (x1 / x0 - self.parameter_for("shift", x0)) / scale
        inside = speckle > 0
        safe = torch.where(inside, speckle, torch.ones_like(speckle))
        density = safe.log() - 0.5 * safe.square() - (scale * x0).log()
        return torch.where(inside, density, -torch.inf)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, per: Per = "all", shift: Any = 0.0) -> Rayleigh:
        """Estimate the scale from the mean square of the speckle, given clean signals and the shift.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``.
        x0
            Clean signals, with the shape of ``x1``. Required, because scale and signal enter ``x1`` as one product.
        per
            Entries that share a scale: ``"all"``, each ``"channel"`` (axis 1), or each ``"entry"``.
        shift
            Fraction of the signal without speckle.
        """
        if x0 is None:
            msg = "Rayleigh.fit needs x0, since scale and signal enter the observation as one product; pass x0=."
            raise ValueError(msg)
        check_same_shape(x1, x0, names=("x1", "x0"))
        speckle = x1 - torch.as_tensor(shift, dtype=x0.dtype, device=x0.device) * x0
        return cls((pool(speckle.square(), per) / (2 * pool(x0.square(), per))).sqrt(), shift=shift)
