"""Binomial capture: each molecule is seen or lost on its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_same_shape
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Per, pool
from scif.core.noise._special import xlogy
from scif.core.noise.base import NoiseModel
from scif.core.noise.moments import QuadraticMoments

__all__ = ["Binomial"]


class Binomial(NoiseModel):
    """``x1 ~ Binomial(x0, probability)`` for whole ``x0``: mean ``p x0``, variance ``p (1 - p) x0``.

    A split into independent parts would need ``x0``, so it is not available. It is available after Poisson or negative
    binomial counts (``Binomial(p) @ Poisson()``).

    Parameters
    ----------
    probability
        Probability that a molecule is captured, in (0, 1]: one number, one per gene, or any shape that broadcasts.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Binomial
    >>> Binomial(0.25).moments(torch.tensor([[8.0]])).mean.item()
    2.0
    """

    elementwise = True
    support_x0 = Domain.COUNTS
    support_x1 = Domain.COUNTS
    probability: Tensor

    def __init__(self, probability: Any) -> None:
        super().__init__()
        self.set_parameter("probability", probability, _check_probability)
        self.unbiased = bool((self.probability == 1).all())

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        return _random.binomial(x0, self.parameter_for("probability", x0), generator)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        chance = self.parameter_for("probability", x0)
        return QuadraticMoments(scale=chance, linear=chance * (1 - chance))

    def captured(self, x0: Tensor) -> Tensor:
        """Expected number of captured molecules."""
        return self.parameter_for("probability", x0) * x0

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log mass, entry by entry."""
        self.check_pair(x1, x0)
        chance, lost = self.parameter_for("probability", x0), x0 - x1
        possible = lost >= 0
        lost = lost.clamp_min(0)
        ways = torch.lgamma(x0 + 1) - torch.lgamma(x1 + 1) - torch.lgamma(lost + 1)
        return torch.where(possible, ways + xlogy(x1, chance) + xlogy(lost, 1 - chance), -torch.inf)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, per: Per = "all") -> Binomial:
        """Estimate the fraction of captured molecules by maximum likelihood.

        Parameters
        ----------
        x1
            Captured molecules ``(batch, ...)``.
        x0
            Molecules, with the shape of ``x1``. Required, because captured counts alone do not show how many were lost.
        per
            Entries that share a probability: ``"all"``, each ``"channel"`` (axis 1), or each ``"entry"``.
        """
        if x0 is None:
            msg = "Binomial.fit needs x0, since captured counts do not show how many molecules were lost; pass x0=."
            raise ValueError(msg)
        check_same_shape(x1, x0, names=("x1", "x0"))
        return cls(pool(x1, per) / pool(x0, per))


def _check_probability(value: Tensor, *, name: str) -> None:
    low, high = float(value.min()), float(value.max())
    if not (low > 0 and high <= 1):
        msg = f"{name} has values in [{low:g}, {high:g}]; it must lie in (0, 1]."
        raise ValueError(msg)
