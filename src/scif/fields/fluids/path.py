"""The flow itself as the path between the initial and the final field."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import batch_times, expand_time
from scif.core.path import Path, PathPair, PathSample
from scif.core.path.base import check_ends, check_order
from scif.fields.fluids.channel import NavierStokesChannel

__all__ = ["FlowPath"]


class FlowPath(Path):
    """Trajectory of the equations: ``x_t`` is the field after a fraction ``t`` of the channel's duration.

    On a straight line, a structure that the flow carries by half its wavelength passes through zero. There the lines of
    different fields cross, and they cannot be traced back. Trajectories of the flow never cross. Measurement noise, the
    difference between ``x1`` and the field to which ``x0`` flows, is added in proportion to ``t``.

    Parameters
    ----------
    channel
        The flow, its duration and its measurement noise.

    Examples
    --------
    >>> import math, torch
    >>> from scif.fields.fluids import FlowPath, NavierStokes2D, NavierStokesChannel, taylor_green
    >>> channel = NavierStokesChannel(NavierStokes2D(viscosity=0.5), duration=1.0)
    >>> x0 = taylor_green(16)[None]
    >>> halfway = FlowPath(channel).sample(x0, channel.sample(x0), 0.5)
    >>> torch.allclose(halfway.x_t, x0 * math.exp(-0.5), atol=1e-5)
    True
    """

    def __init__(self, channel: NavierStokesChannel) -> None:
        self.channel = channel

    def sample(
        self, x0: Tensor, x1: Tensor, t: float | Tensor, *, generator: torch.Generator | None = None
    ) -> PathSample:
        """The point at times ``t`` and its velocity in units of the duration."""
        check_ends(x0, x1)
        t = batch_times(t, x0)
        return self._point(self._advance(x0, t), x1, t)

    def pair(
        self,
        x0: Tensor,
        x1: Tensor,
        s: float | Tensor,
        t: float | Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> PathPair:
        """The points at times ``s < t`` and the velocity at ``t``."""
        check_ends(x0, x1)
        s, t = batch_times(s, x0, name="s"), batch_times(t, x0)
        check_order(s, t)
        at_s = self._advance(x0, s)
        at_t = self._advance(at_s, t - s)
        late = self._point(at_t, x1, t)
        noise = (late.x_t - at_t) / expand_time(t, x0)
        return PathPair(at_s + expand_time(s, x0) * noise, late.x_t, late.u_t, s, t)

    def _advance(self, x: Tensor, share: Tensor) -> Tensor:
        return self.channel.solver.solve(x, share * self.channel.duration)

    def _point(self, flowing: Tensor, x1: Tensor, t: Tensor) -> PathSample:
        """The noise-free field at time ``t``, moved by its share of the measurement noise."""
        noise = x1 - self._advance(flowing, 1 - t) if self.channel.sigma > 0 else torch.zeros_like(x1)
        duration = expand_time(torch.as_tensor(self.channel.duration).to(t), x1)
        velocity = duration * self.channel.solver.tendency(flowing) + noise
        return PathSample(flowing + expand_time(t, x1) * noise, velocity, t)
