"""Any forward stochastic differential equation as a channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from scif.core._check import check_positive, check_time
from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise.base import NoiseModel

__all__ = ["SDEChannel"]


class SDEChannel(NoiseModel):
    """The state at the horizon of ``dx = drift(x, tau) dtau + diffusion(x, tau) dW`` (Ito) started at ``x0``.

    It is solved by Euler-Maruyama with exactly ``num_steps`` steps of ``horizon / num_steps``; after each step the
    state is projected into the support. Samples are differentiable if drift and diffusion are.

    Parameters
    ----------
    drift
        Function of the state ``(batch, ...)`` and of the time ``tau`` in [0, horizon], ``(batch, 1, ...)``.
    diffusion
        Function with the same arguments; it multiplies independent increments, entry by entry.
    horizon
        Length of time.
    num_steps
        Number of steps up to the horizon.
    support
        Domain of the state.
    unbiased
        True if the mean of the state does not change.
    moment_draws
        Number of samples for :meth:`moments`, which are estimates here.
    elementwise
        True if drift and diffusion of an entry depend only on this entry; None if unknown.

    Examples
    --------
    Brownian motion adds Gaussian noise:

    >>> import torch
    >>> from scif.core.noise import SDEChannel
    >>> channel = SDEChannel(lambda x, tau: 0 * x, lambda x, tau: 0 * x + 1, horizon=0.5, num_steps=10, unbiased=True)
    >>> times = torch.tensor([0.0, 0.5, 1.0])
    >>> channel.trajectory(torch.zeros(4, 2), times, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([3, 4, 2])
    """

    horizon: Tensor

    def __init__(
        self,
        drift: Callable[[Tensor, Tensor], Tensor],
        diffusion: Callable[[Tensor, Tensor], Tensor],
        *,
        horizon: Any,
        num_steps: int,
        support: Domain = Domain.REAL,
        unbiased: bool = False,
        moment_draws: int = 256,
        elementwise: bool | None = None,
    ) -> None:
        super().__init__()
        if num_steps < 1:
            msg = f"num_steps is {num_steps}; at least one step is needed."
            raise ValueError(msg)
        if moment_draws < 2:
            msg = f"moment_draws is {moment_draws}; a variance needs at least 2 draws."
            raise ValueError(msg)
        self.drift, self.diffusion = drift, diffusion
        self.set_parameter("horizon", horizon, check_positive)
        self.num_steps, self.moment_draws = num_steps, moment_draws
        self.support_x0 = self.support_x1 = support
        self.unbiased, self.elementwise = unbiased, elementwise

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.trajectory(x0, torch.ones(1, dtype=x0.dtype, device=x0.device), generator=generator)[0]

    def trajectory(self, x0: Tensor, times: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """States of one realisation at several times.

        Parameters
        ----------
        x0
            Start ``(batch, ...)``.
        times
            Non-decreasing fractions of the horizon in [0, 1]: ``(points,)`` for all samples, or ``(points, batch)``.
        generator
            Random generator; default torch's global generator.

        Returns
        -------
        States ``(points, batch, ...)``. No step is longer than ``horizon / num_steps``, and every point is reached
        exactly, without interpolation.
        """
        self.check_x0(x0)
        times = _check_times(times, x0)
        horizon = self.parameter_for("horizon", x0)
        state, now, states = x0, torch.zeros_like(times[0]), []
        for target in times:
            gap = float((target - now).max())
            # The tolerance keeps a gap of one, less a rounding error, at num_steps steps and not one more.
            steps = max(math.ceil(gap * self.num_steps * (1 - 1e-6)), 1) if gap > 0 else 0
            for k in range(steps):
                tau = horizon * (now + (target - now) * (k / steps))
                step = horizon * (target - now) / steps
                noise = step.sqrt() * _random.normal(state, generator)
                state = state + self.drift(state, tau) * step + self.diffusion(state, tau) * noise
                state = self.support_x1.project(state)
            now = target
            states.append(state)
        self.support_x1.check(state, name="the state of the equation")
        return torch.stack(states)

    @override
    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_steps={self.num_steps}"


def _check_times(times: Tensor, x0: Tensor) -> Tensor:
    """Times as ``(points, batch or 1, 1, ...)``."""
    if times.numel() == 0 or times.ndim not in (1, 2) or (times.ndim == 2 and times.shape[1] != len(x0)):
        msg = f"times has shape {tuple(times.shape)}; pass (points,) or (points, batch) with batch {len(x0)}."
        raise ValueError(msg)
    check_time(times, name="times")
    if bool((times.diff(dim=0) < 0).any()):
        fall = float(times.diff(dim=0).min())
        msg = f"times falls by {-fall:g} between two points of a trajectory; sort it along the first axis."
        raise ValueError(msg)
    return times.to(x0).reshape(len(times), -1, *[1] * (x0.ndim - 1))
