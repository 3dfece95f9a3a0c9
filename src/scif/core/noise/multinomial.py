"""Multinomial counts: a known number of molecules spread over genes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._special import poisson_log_prob
from scif.core.noise.base import Moments, NoiseModel, Split

__all__ = ["Multinomial"]


class Multinomial(NoiseModel):
    """``x1 ~ Multinomial(library_size, x0 / sum(x0))`` over the last axis: Poisson counts given their total.

    Parameters
    ----------
    library_size
        Number of molecules, one for all or one per sample ``(batch,)``. None uses the rounded sum of ``x0``, so the
        mean of ``x1`` is ``x0`` up to rounding; otherwise only the proportions of ``x0`` matter. Totals are exact up to
        ``2**24`` in single precision.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Multinomial
    >>> x0 = torch.tensor([[1.0, 3.0, 0.0]])
    >>> Multinomial(100).sample(x0, generator=torch.Generator().manual_seed(0)).sum().item()
    100.0
    """

    elementwise = False
    support_x0 = Domain.POSITIVE
    support_x1 = Domain.COUNTS
    library_size: Tensor | None

    def __init__(self, library_size: Any = None) -> None:
        super().__init__()
        if library_size is None:
            self.register_buffer("library_size", None)
        else:
            self.set_parameter("library_size", library_size, Domain.COUNTS.check)
        self.unbiased = library_size is None

    def _molecules(self, x0: Tensor) -> Tensor:
        """Library size per sample, ``(batch, ...)`` without the last axis."""
        total = x0.sum(-1)
        if self.library_size is None:
            return total.round()
        size = self.parameter_for("library_size", total).expand_as(total)
        if not torch.compiler.is_compiling() and bool(((total <= 0) & (size > 0)).any()):
            row = int(((total <= 0) & (size > 0)).flatten().nonzero()[0])
            msg = f"x0 is zero throughout sample {row}, which leaves no proportions to draw by; drop such samples."
            raise ValueError(msg)
        return size

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        return _random.multinomial(self._molecules(x0), x0, generator)

    @override
    def moments(self, x0: Tensor) -> Moments:
        self.check_x0(x0)
        share, molecules = _shares(x0), self._molecules(x0).unsqueeze(-1)
        return Moments(molecules * share, molecules * share * (1 - share))

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log mass, one number per sample; minus infinity if ``x1`` does not sum to the library size."""
        self.check_pair(x1, x0)
        return torch.where(x1.sum(-1) == self._molecules(x0), _log_mass(x1, x0), -torch.inf)

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Binomial thinning: each molecule goes to the first part with probability ``fraction``.

        The parts are independent given their totals, each multinomial with the proportions of ``x0``.
        """
        self.check_x1(x1)
        a = _random.binomial(x1, self.fraction_for(fraction, x1), generator)
        return Split(a, x1 - a, fraction)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """Log mass of a part given its total, one number per sample; it does not depend on the fraction."""
        self.check_pair(part, x0)
        self.fraction_for(fraction, x0)
        return _log_mass(part, x0)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None) -> Multinomial:
        """Create the channel with the library sizes of these samples ``(batch, genes)``."""
        return cls(x1.sum(-1))


def _shares(x0: Tensor) -> Tensor:
    return x0 / x0.sum(-1, keepdim=True).clamp_min(torch.finfo(x0.dtype).tiny)


def _log_mass(x1: Tensor, x0: Tensor) -> Tensor:
    """Log mass given the total of ``x1``: that of Poisson counts less that of their total."""
    total = x1.sum(-1)
    expected = total.unsqueeze(-1) * _shares(x0)
    return poisson_log_prob(x1, expected).sum(-1) - poisson_log_prob(total, total)
