"""Parts of a channel that an inversion needs: a rough way back, and the noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core.noise import Compose, Gaussian, NoiseModel, Simulator
from scif.core.noise.moments import Moments
from scif.fields.fluids.baselines import backward_integration
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.observe import Observation
from scif.fields.fluids.wiener import apply_shells

__all__ = ["InUnits", "Lifted", "as_channel", "chain", "flow_of", "is_observed", "lift", "noise_free", "noise_level"]


@dataclass(frozen=True)
class Lifted:
    """An observation on the grid of the field that it is of."""

    field: Tensor
    """A rough field, of the shape of the clean one."""
    masks: tuple[Tensor, ...]
    """Where there were data, each ``(batch, 1, height, width)``."""


def as_channel(channel: NoiseModel | Callable[[Tensor], Tensor]) -> NoiseModel:
    """A channel, or the one that a function from initial to final fields makes."""
    if isinstance(channel, NoiseModel):
        return channel
    if not callable(channel):
        msg = f"channel is {channel!r}; pass a NoiseModel or a function from initial to final fields."
        raise TypeError(msg)
    return Simulator(channel)


def chain(channel: NoiseModel) -> list[NoiseModel]:
    """The parts of a channel in the order in which they are applied."""
    return channel.chain if isinstance(channel, Compose) else [channel]


def flow_of(channel: NoiseModel) -> NavierStokesChannel | None:
    """The spectral flow in a channel, if it has one."""
    return next((part for part in chain(channel) if isinstance(part, NavierStokesChannel)), None)


def is_observed(channel: NoiseModel) -> bool:
    """Whether a channel reports something else than a field of the clean one's kind."""
    return any(isinstance(part, Observation) for part in chain(channel))


def lift(
    channel: NoiseModel,
    x1: Tensor,
    *,
    share: Tensor | None = None,
    max_gain: float = 100.0,
    factors: Tensor | None = None,
) -> Lifted:
    """Undo a channel roughly, part by part from the last on.

    Parameters
    ----------
    channel
        The channel.
    x1
        Observations.
    share
        Share of the flow's duration to march back, ``(batch,)``; the flow is not undone if not given.
    max_gain
        Largest amplification of a mode by the backward integration.
    factors
        What each shell of the observed field is multiplied by before the flow is undone, see
        :func:`~scif.fields.fluids.wiener.wiener`.
    """
    masks: list[Tensor] = []
    for part in reversed(chain(channel)):
        if isinstance(part, Observation):
            where = part.where(x1)
            x1 = part.lift(x1)
            masks = [part.spread(mask) for mask in ([*masks, where] if where is not None else masks)]
        elif isinstance(part, NavierStokesChannel):
            if factors is not None:
                x1 = apply_shells(x1, factors)
            if share is not None:
                x1 = backward_integration(x1, part.solver, share * part.duration, max_gain=max_gain)
    return Lifted(x1, tuple(masks))


def noise_free(channel: NoiseModel, x0: Tensor, like: Tensor) -> Tensor:
    """The mean observation of clean fields, with the gaps of the observation ``like``."""
    for part in chain(channel):
        x0 = part.observe(x0, like) if isinstance(part, Observation) else part.moments(x0).mean
    return x0


def noise_level(channel: NoiseModel) -> float:
    """Standard deviation of the additive Gaussian noise of a channel, root-mean-square over points."""
    total = 0.0
    for part in chain(channel):
        if isinstance(part, Gaussian):
            total += float(part.sigma.square().mean())
        elif isinstance(part, NavierStokesChannel):
            total += part.sigma**2
    return total**0.5


class InUnits(NoiseModel):
    """A channel between fields in units of ``state`` and observations in units of ``observed``.

    Masks are told apart from values by :class:`Gaps`, whose last channel keeps its unit.
    """

    unbiased = False

    def __init__(self, channel: NoiseModel, state: float, observed: float) -> None:
        super().__init__()
        self.channel, self.state, self.observed = channel, state, observed
        self.deterministic = channel.deterministic

    def encode(self, x1: Tensor) -> Tensor:
        """Observations in the unit ``observed``."""
        return self._scaled(x1, 1 / self.observed)

    def decode(self, x1: Tensor) -> Tensor:
        """Observations as the channel has them."""
        return self._scaled(x1, self.observed)

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.encode(self.channel.sample(x0 * self.state, generator=generator))

    @override
    def moments(self, x0: Tensor) -> Moments:
        moments = self.channel.moments(x0 * self.state)
        return Moments(moments.mean / self.observed, moments.variance / self.observed**2)

    def lift(self, x1: Tensor, **options: Any) -> Lifted:
        """As :func:`lift`, in units."""
        lifted = lift(self.channel, self.decode(x1), **options)
        return Lifted(lifted.field / self.state, lifted.masks)

    def noise_free(self, x0: Tensor, like: Tensor) -> Tensor:
        """As :func:`noise_free`, in units."""
        return self.encode(noise_free(self.channel, x0 * self.state, self.decode(like)))

    def _scaled(self, x1: Tensor, factor: float) -> Tensor:
        last = chain(self.channel)[-1]
        if isinstance(last, Observation) and last.where(x1) is not None and not last.deterministic:
            return torch.cat([x1[:, :-1] * factor, x1[:, -1:]], 1)
        return x1 * factor
