"""Networks on vorticity fields, as consistency functions and velocities of a flow."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from scif.core._check import batch_times, check_positive, expand_time
from scif.fields.fluids.baselines import backward_integration
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.grid import SpectralGrid, to_physical, to_spectral

__all__ = ["FlowConsistency", "FlowVelocity"]


def _resolved(field: Tensor, *, mean: bool) -> Tensor:
    """The part of a field that the solver resolves, with or without its mean."""
    grid = SpectralGrid.like(field)
    kept = grid.resolved if mean else grid.resolved & (grid.k2 > 0)
    return to_physical(to_spectral(field) * kept, grid.size)


class FlowConsistency(nn.Module):
    """From a field at a time ``t`` to the initial field: ``c(x, t) = b(x, t) + t * error * net(...)``.

    ``c(x, 0) = x`` for every field that the grid resolves, modes that it does not resolve are removed, and the mean
    of a field, which no flow changes, is kept.

    Parameters
    ----------
    net
        Called with fields ``(batch, channels, height, width)`` and times ``(batch,)``; one output channel. The
        channels are ``x`` and, with ``start="backward"``, also ``b(x, t)``.
    channel
        The flow that is inverted, in units in which vorticities are of order one.
    start
        What the function is before training: ``"identity"`` (``b(x, t) = x``, as published) or ``"backward"`` (``x``
        marched back by ``t`` times the duration, see :func:`~scif.fields.fluids.backward_integration`).
    max_gain
        Largest amplification of a mode when marching back.
    error
        What the network's output is multiplied by; the size of what it has to add (:meth:`measure_error`) keeps a good
        start from being lost to the first steps of training.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import FlowConsistency, NavierStokes2D, NavierStokesChannel, taylor_green
    >>> from scif.nn.fno import FNO
    >>> channel = NavierStokesChannel(NavierStokes2D(viscosity=0.1), duration=1.0)
    >>> c = FlowConsistency(FNO(2, width=4, modes=4, depth=1), channel, start="backward")
    >>> x0 = taylor_green(16)[None]
    >>> torch.allclose(c(channel.sample(x0), 1.0), x0, atol=0.01)
    True
    """

    def __init__(
        self,
        net: nn.Module,
        channel: NavierStokesChannel,
        *,
        start: Literal["identity", "backward"] = "identity",
        max_gain: float = 100.0,
        error: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(error, name="error")
        self.net = net
        self.channel = channel
        self.start = start
        self.max_gain = max_gain
        self.error = error

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Initial fields ``(batch, height, width)`` of fields at times in [0, 1], one or ``(batch,)``."""
        t = batch_times(t, x)
        base = self.base(x, t)
        fields = [x] if self.start == "identity" else [x, base]
        added = _resolved(self.net(torch.stack(fields, dim=1), t)[:, 0], mean=False)
        return base + self.error * expand_time(t, x) * added

    def base(self, x: Tensor, t: Tensor) -> Tensor:
        """The function without its network, a constant for gradients."""
        x = x.detach()
        if self.start == "identity":
            return _resolved(x, mean=True)
        return backward_integration(x, self.channel.solver, t * self.channel.duration, max_gain=self.max_gain)

    @torch.no_grad()
    def measure_error(self, final: Tensor, *, generator: torch.Generator | None = None) -> float:
        """Root-mean-square error of the function without its network, on fields that it takes for initial ones.

        These are what it makes of the final fields; simulated anew, they are final fields of known origin.
        """
        last = final.new_ones(final.shape[0])
        initial = self.base(final, last)
        again = self.base(self.channel.sample(initial, generator=generator), last)
        return float((again - initial).square().mean().sqrt())


class FlowVelocity(nn.Module):
    """Velocity ``v(x, t)`` of a path from initial to final fields: a resolved field of mean zero, made by a network.

    Parameters
    ----------
    net
        Called with fields ``(batch, 1, height, width)`` of order one and times ``(batch,)``; one output channel.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Velocity at fields ``(batch, height, width)`` and times in [0, 1], one or ``(batch,)``."""
        return _resolved(self.net(x[:, None], batch_times(t, x))[:, 0], mean=False)
