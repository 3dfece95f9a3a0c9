"""Trajectories of a forward stochastic differential equation, made smooth between knots."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from scif.core._check import batch_times, check_positive, expand_time
from scif.core.domain import Domain
from scif.core.path.base import Path, PathPair, PathSample, check_ends, check_order

__all__ = ["SDETrajectory"]

Coefficient = Callable[[Tensor, Tensor], Tensor]


class SDETrajectory(Path):
    r"""The trajectory of :math:`dX = f(X, \tau)\, d\tau + g(X, \tau)\, dW` from ``x0``, with straight lines between knots.

    The process is simulated from ``x0`` over ``duration`` by Euler-Maruyama and followed through ``segments + 1``
    equally spaced knots; time ``t`` in [0, 1] is the share of ``duration``. Between knots the trajectory is a
    straight line, so that it has a velocity, whose conditional mean carries the marginals of the process at the
    knots. **The simulated end takes the place of** ``x1``, of which only the shape is used.

    A pair inside one segment is a step of the flow. A pair one or more segments apart averages over the process's
    own noise and shrinks towards the posterior mean, so take several time steps per segment; ``segments=1`` is
    the straight line from ``x0`` to the simulated end.

    Parameters
    ----------
    drift
        ``f(x, tau)`` for states ``(batch, ...)`` and process times ``(batch,)`` in ``[0, duration]``.
    diffusion
        ``g(x, tau)``, per entry.
    duration
        Length of the process in its own time.
    segments
        Number of straight pieces.
    steps
        Number of Euler-Maruyama steps, a multiple of ``segments``.
    domain
        Set the process lives in; every simulated state is brought back into it.

    Examples
    --------
    >>> import torch
    >>> from scif.core.path import SDETrajectory
    >>> decay = SDETrajectory(lambda x, tau: -x, lambda x, tau: torch.zeros_like(x), segments=1, steps=1000)
    >>> x0 = torch.ones(1, 1)
    >>> round(decay.sample(x0, x0, torch.tensor([1.0])).x_t.item(), 3)
    0.368
    """

    def __init__(
        self,
        drift: Coefficient,
        diffusion: Coefficient,
        *,
        duration: float = 1.0,
        segments: int = 4,
        steps: int = 400,
        domain: Domain = Domain.REAL,
    ) -> None:
        check_positive(duration, name="duration")
        if segments < 1 or steps < segments or steps % segments:
            msg = f"steps = {steps} must be a positive multiple of segments = {segments}."
            raise ValueError(msg)
        self.drift, self.diffusion = drift, diffusion
        self.duration, self.segments, self.steps = float(duration), segments, steps
        self.domain = domain

    def sample(
        self, x0: Tensor, x1: Tensor, t: float | Tensor, *, generator: torch.Generator | None = None
    ) -> PathSample:
        """The point at times ``t`` of a trajectory from ``x0``, and the velocity of the segment that ends there."""
        check_ends(x0, x1)
        t = batch_times(t, x0)
        ((x_t, u_t),) = self._follow(x0, (t,), generator)
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
        """Two points at times ``s < t`` of one trajectory, with the velocity at ``t``."""
        check_ends(x0, x1)
        s, t = batch_times(s, x0, name="s"), batch_times(t, x0)
        check_order(s, t)
        (x_s, _), (x_t, u_t) = self._follow(x0, (s, t), generator)
        return PathPair(x_s, x_t, u_t, s, t)

    def _follow(
        self, x0: Tensor, times: tuple[Tensor, ...], generator: torch.Generator | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Point and velocity at each of the given times, along one simulation from ``x0``."""
        self.domain.check(x0, name="x0")
        found = [(x0, torch.zeros_like(x0)) for _ in times]
        x = x0
        for k in range(self.segments):
            start, x = x, self._segment(x, k, generator)
            velocity = (x - start) * self.segments
            for i, t in enumerate(times):
                # the first segment also holds t = 0, where the velocity is the one to its right
                inside = (t > k / self.segments) & (t <= (k + 1) / self.segments)
                inside = expand_time(inside | (t == 0.0) if k == 0 else inside, x)
                point = start + expand_time(t - k / self.segments, x) * velocity
                found[i] = torch.where(inside, point, found[i][0]), torch.where(inside, velocity, found[i][1])
        return found

    def _segment(self, x: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
        """The state one segment later."""
        substeps, dt = self.steps // self.segments, self.duration / self.steps
        for j in range(substeps):
            tau = torch.full((x.shape[0],), (k * substeps + j) * dt, dtype=x.dtype, device=x.device)
            noise = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
            x = x + self.drift(x, tau) * dt + self.diffusion(x, tau) * math.sqrt(dt) * noise
            x = self.domain.project(x)
        return x
