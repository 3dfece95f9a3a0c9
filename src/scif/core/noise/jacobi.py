"""Jacobi diffusion: noise that keeps a signal between zero and one."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive, check_same_shape
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._ancestors import ancestor_law
from scif.core.noise._special import xlogy
from scif.core.noise.moments import QuadraticMoments
from scif.core.noise.sde import SDEChannel

__all__ = ["Jacobi"]


class Jacobi(SDEChannel):
    """The state at the horizon of ``dx = (a (1 - x) - b x) / 2 dtau + sqrt(x (1 - x)) dW`` started at ``x0``.

    The mean is pulled towards ``a / (a + b)``, so ``E[x1 | x0] != x0`` and methods for unbiased noise do not apply.

    Parameters
    ----------
    a
        Strength of the pull towards one.
    b
        Strength of the pull towards zero.
    horizon
        Length of time; the publication uses 0.2 with ``a = b = 1`` and 400 steps.
    sampler
        ``"exact"`` draws from the transition law itself. Backwards in time the diffusion is a genealogy: given a random
        number of ancestors ``m``, the state is beta distributed (Griffiths 1979, Jenkins & Spano 2017). A few draws per
        entry replace hundreds of steps. ``"euler"`` uses Euler-Maruyama steps, as published. It is differentiable, and
        its parameters may vary per sample.
    num_steps
        Number of Euler-Maruyama steps, used by that sampler and by :meth:`trajectory`.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Jacobi
    >>> mean = Jacobi().moments(torch.tensor([[0.0, 0.5, 1.0]])).mean
    >>> [round(value, 3) for value in mean[0].tolist()]
    [0.091, 0.5, 0.909]
    """

    tables = ("ancestors",)
    a: Tensor
    b: Tensor
    ancestors: Tensor

    def __init__(
        self,
        a: Any = 1.0,
        b: Any = 1.0,
        *,
        horizon: Any = 0.2,
        sampler: Literal["exact", "euler"] = "exact",
        num_steps: int = 400,
    ) -> None:
        super().__init__(
            self._drift, self._diffusion, horizon=horizon, num_steps=num_steps, support=Domain.UNIT, elementwise=True
        )
        self.set_parameter("a", a, check_positive)
        self.set_parameter("b", b, check_positive)
        if sampler not in ("exact", "euler"):
            msg = f"sampler={sampler!r} is not known; use 'exact' or 'euler'."
            raise ValueError(msg)
        self.sampler = sampler
        if sampler == "exact":
            shapes = {name: tuple(getattr(self, name).shape) for name in ("a", "b", "horizon")}
            if any(shapes.values()):
                msg = (
                    f"exact Jacobi samples need single numbers, not parameters of shapes {shapes}; use sampler='euler'."
                )
                raise ValueError(msg)
            law = ancestor_law(float(self.a + self.b), float(self.horizon))
            self.set_parameter("ancestors", law, Domain.UNIT.check)

    def _drift(self, x: Tensor, tau: Tensor) -> Tensor:
        return 0.5 * (self.parameter_for("a", x) * (1 - x) - self.parameter_for("b", x) * x)

    def _diffusion(self, x: Tensor, tau: Tensor) -> Tensor:
        # The floor keeps the gradient of the root finite at the ends of the interval.
        return (x * (1 - x)).clamp_min(1e-12).sqrt()

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        if self.sampler == "euler":
            return super().sample(x0, generator=generator)
        self.check_x0(x0)
        position = _random.uniform(x0, generator)
        cumulative = self.parameter_for("ancestors", x0.new_empty(self.ancestors.shape)).cumsum(0)
        m = torch.searchsorted(cumulative, position, right=True).clamp_max(len(cumulative) - 1).to(x0.dtype)
        ones = _random.binomial(m, x0.detach(), generator)
        return _random.beta(self.a.to(x0.dtype) + ones, self.b.to(x0.dtype) + m - ones, generator)

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        """Moments of the diffusion in closed form, without the error of Euler-Maruyama steps."""
        a, b, horizon = (self.parameter_for(name, x0) for name in ("a", "b", "horizon"))
        total, rest = a + b, a / (a + b)
        # The mean relaxes to rest as exp(-total tau / 2), the second moment s obeys s' = (a + 1) mean - (total + 1) s.
        kept, kept_square = torch.exp(-0.5 * total * horizon), torch.exp(-(total + 1) * horizon)
        level = (a + 1) * rest * (1 - kept_square) / (total + 1)
        slope = (a + 1) * (kept - kept_square) / (0.5 * total + 1)
        shift = rest * (1 - kept)
        return QuadraticMoments(
            shift=shift,
            scale=kept,
            constant=level - slope * rest - shift.square(),
            linear=slope - 2 * shift * kept,
            quadratic=kept_square - kept.square(),
        )

    @override
    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density of the exact transition law, entry by entry; the sampler must be ``"exact"``."""
        if self.sampler != "exact":
            return super().log_prob(x1, x0)
        self.check_pair(x1, x0)
        a, b = self.a.to(x0.dtype), self.b.to(x0.dtype)
        total = torch.full_like(x1, -torch.inf)
        for m, weight in enumerate(self.ancestors.to(x0.dtype)):
            for ones in range(m + 1):
                zeros = m - ones
                normaliser = torch.lgamma(a + b + m) - torch.lgamma(a + ones) - torch.lgamma(b + zeros)
                ways = math.lgamma(m + 1) - math.lgamma(ones + 1) - math.lgamma(zeros + 1)
                term = (
                    weight.log()
                    + ways
                    + normaliser
                    + _powers(x0, ones, zeros)
                    + _powers(x1, a + ones - 1, b + zeros - 1)
                )
                total = torch.logaddexp(total, term)
        return total

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, horizon: float = 0.2, **options: Any) -> Jacobi:
        """Estimate ``a`` and ``b`` from the straight line of ``x1`` against ``x0``, at a known horizon.

        Parameters
        ----------
        x1
            Observations ``(batch, ...)``.
        x0
            Clean signals, with the shape of ``x1``. Required, because the pull is only visible relative to the start.
        horizon
            Length of time.
        **options
            Further arguments of :class:`Jacobi`.
        """
        if x0 is None:
            msg = "Jacobi.fit needs x0, since the pull shows only against the start; pass x0=."
            raise ValueError(msg)
        check_same_shape(x1, x0, names=("x1", "x0"))
        centred = x0 - x0.mean()
        kept = float((centred * x1).sum() / centred.square().sum())
        shift = float(x1.mean() - kept * x0.mean())
        if not (0 < kept < 1 and 0 < shift < 1 - kept):
            msg = f"x1 follows x0 with slope {kept:g} and intercept {shift:g}, which no Jacobi diffusion does."
            raise ValueError(msg)
        total = -2 * math.log(kept) / horizon
        a = total * shift / (1 - kept)
        return cls(a, total - a, horizon=horizon, **options)


def _powers(x: Tensor, up: Tensor | int, down: Tensor | int) -> Tensor:
    """``log(x**up * (1 - x)**down)``, with ``0**0 = 1``."""
    return xlogy(torch.as_tensor(up, dtype=x.dtype), x) + xlogy(torch.as_tensor(down, dtype=x.dtype), 1 - x)
