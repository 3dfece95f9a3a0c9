"""One channel after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from scif.core.domain import Domain
from scif.core.noise.base import Equivalent, NoDensity, NoiseModel, NotSplittable, Split
from scif.core.noise.moments import Moments

__all__ = ["Compose"]

_INSIDE = {
    Domain.REAL: {Domain.REAL},
    Domain.POSITIVE: {Domain.REAL, Domain.POSITIVE},
    Domain.UNIT: {Domain.REAL, Domain.POSITIVE, Domain.UNIT},
    Domain.COUNTS: {Domain.REAL, Domain.POSITIVE, Domain.COUNTS},
}
"""The domains that contain each domain."""


class Compose(NoiseModel, composition=True):
    """The channel that applies ``first`` and then ``second``; the same as ``second @ first``.

    Moments are exact (laws of total mean and variance) if every channel after the first has a mean that is linear and a
    variance that is quadratic in its input, as all elementwise families here have. Otherwise they are Monte Carlo
    estimates. Density and split exist if the chain equals one known channel after a deterministic map of ``x0``: any
    channel after deterministic simulators, Gaussian after Gaussian, binomial capture after Poisson or negative binomial
    counts, and chains that a channel declares (:meth:`NoiseModel.followed_by`).

    Parameters
    ----------
    second
        Channel that is applied last.
    first
        Channel that is applied first; its observations must be valid inputs of ``second``.
    moment_draws
        Number of samples for moments that have to be estimated.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Gaussian, Poisson
    >>> camera = Gaussian(2.0) @ Poisson(0.5)
    >>> camera.moments(torch.tensor([[10.0]])).variance.item()
    9.0
    """

    def __init__(self, second: NoiseModel, first: NoiseModel, *, moment_draws: int = 256) -> None:
        super().__init__()
        if second.support_x0 not in _INSIDE[first.support_x1]:
            msg = (
                f"{type(second).__name__} takes {second.support_x0.value} input, but {type(first).__name__} gives "
                f"{first.support_x1.value} output; put a channel between them or change the order."
            )
            raise ValueError(msg)
        if moment_draws < 2:
            msg = f"moment_draws is {moment_draws}; a variance needs at least 2 draws."
            raise ValueError(msg)
        self.channels = nn.ModuleList([*_chain(first), *_chain(second)])
        self.support_x0, self.support_x1 = first.support_x0, second.support_x1
        self.unbiased = first.unbiased and second.unbiased
        self.deterministic = first.deterministic and second.deterministic
        self.moment_draws = moment_draws
        said = [channel.elementwise for channel in self.chain]
        self.elementwise = False if False in said else None if None in said else True
        one = self._equivalent()
        self.mirrored_split = one is not None and one.channel.mirrored_split

    @property
    def chain(self) -> list[NoiseModel]:
        """The channels in the order in which they are applied."""
        return [cast("NoiseModel", channel) for channel in self.channels]

    @override
    def mirror_axes(self, ndim: int) -> tuple[int, ...]:
        common = [set(channel.mirror_axes(ndim)) for channel in self.chain]
        return tuple(sorted(set.intersection(*common)))

    @override
    def transpose_axes(self, ndim: int) -> tuple[tuple[int, int], ...]:
        common = [set(channel.transpose_axes(ndim)) for channel in self.chain]
        return tuple(sorted(set.intersection(*common)))

    @override
    def arguments(self) -> dict[str, Any]:
        *before, second = self.chain
        first = before[0]
        for channel in before[1:]:
            first = Compose(channel, first)
        return {"second": second, "first": first, "moment_draws": self.moment_draws}

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        for channel in self.chain:
            x0 = channel.sample(x0, generator=generator)
        return x0

    @override
    def moments(self, x0: Tensor) -> Moments:
        """Mean and variance: exact if the chain allows it (see the class), otherwise Monte Carlo estimates."""
        moments: Moments | None = None
        signal = x0
        for channel in self.chain:
            form = channel.quadratic_moments(x0)
            if moments is None and channel.deterministic:
                signal = channel.sample(signal)
            elif moments is None:
                moments = channel.moments(signal)
            elif form is not None:
                moments = form.after(moments)
            else:
                return self._estimated_moments(x0)
        return moments or Moments(signal, torch.zeros_like(signal))

    @override
    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        one = self._equivalent()
        if one is None:
            msg = f"{self._names()} has no density in closed form; use moments() or sample() instead."
            raise NoDensity(msg)
        return one.channel.log_prob(x1, one.function(x0))

    @override
    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        return self._split_channel().channel.split(x1, fraction, generator=generator)

    @override
    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        one = self._split_channel()
        return one.channel.part_log_prob(part, one.function(x0), fraction)

    @property
    def splittable(self) -> bool:
        """Whether the chain is one splittable channel after a deterministic map."""
        one = self._equivalent()
        return one is not None and one.channel.splittable

    def _split_channel(self) -> Equivalent:
        one = self._equivalent()
        if one is None or not one.channel.splittable:
            msg = f"{self._names()} cannot be split into independent parts; train with anchor_weight=0."
            raise NotSplittable(msg)
        return one

    def _equivalent(self) -> Equivalent | None:
        """The chain as one channel after a deterministic map, or ``None``."""
        one: Equivalent | None = None
        before: list[NoiseModel] = []
        for channel in self.chain:
            if one is None and channel.deterministic:
                before.append(channel)
            elif one is None:
                one = Equivalent(channel, _in_order(before))
            else:
                one = _absorb(one, channel)
                if one is None:
                    return None
        return one

    def _names(self) -> str:
        return " @ ".join(type(channel).__name__ for channel in reversed(self.chain))


def _absorb(one: Equivalent, after: NoiseModel) -> Equivalent | None:
    """One more channel, or ``None`` if the pair is no known family."""
    both = one.channel.followed_by(after)
    if both is None:
        return None
    inner, outer = one.function, both.function
    return Equivalent(both.channel, lambda x0: outer(inner(x0)))


def _in_order(channels: list[NoiseModel]) -> Callable[[Tensor], Tensor]:
    """Deterministic channels one after another, as a function."""

    def function(x0: Tensor) -> Tensor:
        for channel in channels:
            x0 = channel.sample(x0)
        return x0

    return function


def _chain(channel: NoiseModel) -> list[NoiseModel]:
    return channel.chain if isinstance(channel, Compose) else [channel]
