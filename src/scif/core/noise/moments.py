"""First two moments of a channel: in closed form, after one another, or by Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Moments", "QuadraticMoments", "monte_carlo_moments"]


class _Sampler(Protocol):
    """Anything that draws observations."""

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Moments:
    """Mean and variance of ``x1`` given ``x0``, each of the shape of ``x0``."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class QuadraticMoments:
    """Mean that is linear in ``x0`` and variance that is quadratic in it, entry by entry.

    ``mean = shift + scale * x0`` and ``variance = constant + linear * x0 + quadratic * x0**2``: this holds for every
    elementwise family here, and gives exact moments of chains of channels.
    """

    shift: Tensor | float = 0.0
    scale: Tensor | float = 1.0
    constant: Tensor | float = 0.0
    linear: Tensor | float = 0.0
    quadratic: Tensor | float = 0.0

    def of(self, x0: Tensor) -> Moments:
        """Moments given the clean signal."""
        return self.after(Moments(x0, torch.zeros_like(x0)))

    def after(self, first: Moments) -> Moments:
        """Moments if the input is itself random (laws of total mean and total variance)."""
        mean, variance = first.mean, first.variance
        inner = self.constant + self.linear * mean + self.quadratic * (mean.square() + variance)
        outer = torch.as_tensor(self.scale, dtype=mean.dtype, device=mean.device).square() * variance
        return Moments((self.shift + self.scale * mean).expand_as(mean), (inner + outer).expand_as(mean))


def monte_carlo_moments(channel: _Sampler, x0: Tensor, *, draws: int, seed: int = 0) -> Moments:
    """Moments from ``draws`` samples with a fixed generator, so that equal input gives equal output.

    The standard error of the mean is ``sqrt(variance / draws)``; the relative standard error of the variance is about
    ``sqrt(2 / draws)``.

    Parameters
    ----------
    channel
        The channel to draw from.
    x0
        Clean signals, ``(batch, ...)``.
    draws
        Number of samples per signal.
    seed
        Seed of the generator.

    Raises
    ------
    ValueError
        If a draw is not finite.
    """
    generator = torch.Generator(device=x0.device).manual_seed(seed)
    mean, squares = torch.zeros_like(x0), torch.zeros_like(x0)
    with torch.no_grad():
        for count in range(1, draws + 1):
            draw = channel.sample(x0, generator=generator)
            delta = draw - mean
            mean = mean + delta / count
            squares = squares + delta * (draw - mean)
    if not (bool(mean.isfinite().all()) and bool(squares.isfinite().all())):
        msg = (
            f"{type(channel).__name__}.sample gives values that are not finite for finite x0; fix it. The logarithm "
            "of torch.rand, which may be 0, does this; take log1p(-torch.rand(...))."
        )
        raise ValueError(msg)
    return Moments(mean, squares / (draws - 1))
