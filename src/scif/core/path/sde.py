"""Trajectories of a forward stochastic differential equation, made smooth between knots."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import batch_times, expand_time
from scif.core.noise.sde import SDEChannel
from scif.core.path.base import Path, PathPair, PathSample, check_ends, check_order

__all__ = ["SDETrajectory"]


class SDETrajectory(Path):
    r"""A realisation of a forward process from ``x0``, with straight lines between equally spaced knots.

    Time ``t`` in [0, 1] is the fraction of the channel's horizon. Between knots the trajectory is a straight line, so
    it has a velocity, whose conditional mean carries the marginals of the process from knot to knot. **The end of the
    realisation replaces** ``x1``: only the shape of ``x1`` is used, and a new ``x1`` is drawn.

    A pair inside one segment is a step of the flow. A pair that is whole segments apart averages over the noise of the
    process and shrinks towards the posterior mean, so use several time steps per segment. ``segments=1`` is the
    straight line from ``x0`` to an observation.

    Parameters
    ----------
    channel
        The process, such as :class:`~scif.core.noise.Jacobi` or any :class:`~scif.core.noise.SDEChannel`.
    segments
        Number of straight pieces.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import SDEChannel
    >>> from scif.core.path import SDETrajectory
    >>> decay = SDEChannel(lambda x, tau: -x, lambda x, tau: 0 * x, horizon=1.0, num_steps=1000)
    >>> x0 = torch.ones(1, 1)
    >>> round(SDETrajectory(decay).sample(x0, x0, 1.0).x_t.item(), 3)
    0.368
    """

    def __init__(self, channel: SDEChannel, *, segments: int = 4) -> None:
        if segments < 1:
            msg = f"segments is {segments}; a trajectory needs at least one."
            raise ValueError(msg)
        self.channel, self.segments = channel, segments

    def sample(
        self, x0: Tensor, x1: Tensor, t: float | Tensor, *, generator: torch.Generator | None = None
    ) -> PathSample:
        """The point at times ``t`` of a realisation from ``x0``, and the velocity of the segment that ends there."""
        check_ends(x0, x1)
        t = batch_times(t, x0)
        x_t, u_t = self._at(t, self._knots(x0, generator))
        return PathSample(x_t, u_t, t)

    def pair(
        self,
        x0: Tensor,
        x1: Tensor,
        s: float | Tensor,
        t: float | Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> PathPair:
        """Two points at times ``s < t`` of one realisation, with the velocity at ``t``."""
        check_ends(x0, x1)
        s, t = batch_times(s, x0, name="s"), batch_times(t, x0)
        check_order(s, t)
        knots = self._knots(x0, generator)
        x_s, _ = self._at(s, knots)
        x_t, u_t = self._at(t, knots)
        return PathPair(x_s, x_t, u_t, s, t)

    def _knots(self, x0: Tensor, generator: torch.Generator | None) -> Tensor:
        """States ``(segments + 1, batch, ...)``."""
        times = torch.linspace(0.0, 1.0, self.segments + 1, dtype=x0.dtype, device=x0.device)
        return self.channel.trajectory(x0, times, generator=generator)

    def _at(self, t: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        """Point and velocity at times ``t``; a knot belongs to the segment before it."""
        position = t * self.segments
        segment = (position.ceil().long() - 1).clamp_min(0)
        sample = torch.arange(t.shape[0], device=t.device)
        start, end = knots[segment, sample], knots[segment + 1, sample]
        return torch.lerp(start, end, expand_time(position - segment, start)), (end - start) * self.segments
