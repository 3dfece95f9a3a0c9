"""Networks on fields, as consistency functions and velocities of a flow."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from scif.core._check import batch_times, check_positive, expand_time
from scif.core.noise import NoiseModel
from scif.fields.fluids.chain import InUnits, Lifted, is_observed
from scif.fields.fluids.grid import SpectralGrid, to_physical, to_spectral
from scif.fields.fluids.wiener import apply_shells, wiener

__all__ = ["FlowConsistency", "FlowVelocity"]


def _resolved(field: Tensor, *, mean: bool) -> Tensor:
    """The part of a field that the solver resolves, with or without its mean."""
    grid = SpectralGrid.like(field)
    kept = grid.resolved if mean else grid.resolved & (grid.k2 > 0)
    return to_physical(to_spectral(field) * kept, grid.size)


def with_channels(field: Tensor) -> Tensor:
    """Fields as ``(batch, channels, height, width)``."""
    return field if field.ndim == 4 else field[:, None]


class FlowConsistency(nn.Module):
    """From an observation at a time ``t`` to the initial field: ``c(x, t) = b(x, t) + t * error * net(...)``.

    ``c(x, 0) = x`` for every field that the grid resolves. If the flow is periodic, modes that the grid does not
    resolve are removed, and the mean of a field, which no periodic flow changes, is kept. Observations that are no
    fields (of :class:`Coarse`, :class:`Gaps` and so on) exist at time 1 only.

    Parameters
    ----------
    net
        Called with fields ``(batch, inputs, height, width)`` and times ``(batch,)``; as many output channels as the
        state has. The inputs are the observation as a rough field, with ``start="backward"`` also ``b(x, t)``, and
        the masks of the observation.
    channel
        The flow and its observation that are inverted, in units in which fields are of order one. A filter for
        its noise comes from :meth:`fit_filter`.
    start
        What the function is before training: ``"identity"`` (the rough field, as published) or ``"backward"`` (that
        marched back by ``t`` times the duration, see :func:`~scif.fields.fluids.backward_integration`).
    max_gain
        Largest amplification of a mode when marching back.
    error
        What the network's output is multiplied by; the size of what it has to add (:meth:`measure_error`) keeps a good
        start from being lost to the first steps of training.
    periodic
        Whether fields continue periodically.

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
        channel: NoiseModel,
        *,
        start: Literal["identity", "backward"] = "identity",
        max_gain: float = 100.0,
        error: float = 1.0,
        periodic: bool = True,
    ) -> None:
        super().__init__()
        check_positive(error, name="error")
        self.net = net
        self.channel = channel if isinstance(channel, InUnits) else InUnits(channel, 1.0, 1.0)
        self.start = start
        self.max_gain = max_gain
        self.error = error
        self.periodic = periodic
        self.observed = is_observed(self.channel.channel)
        self.factors: Tensor | None
        self.register_buffer("factors", None)

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Initial fields of observations at times in [0, 1], one or ``(batch,)``."""
        t = batch_times(t, x)
        if self.observed and bool((t < 1).any()):
            msg = f"t has {float(t.min()):g}, but this channel's observations are no fields and exist at time 1 only."
            raise ValueError(msg)
        rough = self.rough(x)
        base = self._base(x, t, rough)
        out = self.net(self.inputs(rough, base), t)
        added = out if base.ndim == 4 else out[:, 0]
        if self.periodic:
            added = _resolved(added, mean=False)
        return base + self.error * expand_time(t, base) * added

    def inputs(self, rough: Lifted, *more: Tensor) -> Tensor:
        """Input of the network, ``(batch, inputs, height, width)``."""
        seen = [rough.field] if self.start == "identity" and len(more) == 1 else [rough.field, *more]
        return torch.cat([*map(with_channels, seen), *rough.masks], 1)

    def base(self, x: Tensor, t: Tensor) -> Tensor:
        """The function without its network, a constant for gradients."""
        return self._base(x, t, self.rough(x))

    def rough(self, x: Tensor) -> Lifted:
        """The observation as a field, of which the flow is not undone."""
        return self.channel.lift(x.detach(), factors=self.factors)

    def _base(self, x: Tensor, t: Tensor, rough: Lifted) -> Tensor:
        if self.start == "backward":
            how = {"share": t, "max_gain": self.max_gain, "factors": self.factors}
            return self.channel.lift(x.detach(), **how).field
        return _resolved(rough.field, mean=True) if self.periodic else rough.field

    @torch.no_grad()
    def fit_filter(self, final: Tensor, *, generator: torch.Generator | None = None) -> float:
        """Find the filter that takes the channel's noise out of observed fields; returns what it leaves, as a share.

        The noise comes from simulations of the channel with and without it.
        """
        rough = self.channel.lift(final)
        again = self.channel.sample(rough.field, generator=generator)
        noise = self.channel.lift(again).field - self.channel.lift(self.channel.noise_free(rough.field, again)).field
        self.factors = wiener(rough.field, noise)
        left = apply_shells(noise, self.factors.sqrt()).square().mean()
        return float((left / apply_shells(rough.field, self.factors).square().mean()).sqrt())

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
    """Velocity ``v(x, t)`` of a path from initial to final fields, made by a network.

    Parameters
    ----------
    net
        Called with fields ``(batch, channels, height, width)`` of order one and times ``(batch,)``.
    periodic
        Whether fields continue periodically; the velocity is then a resolved field of mean zero.
    """

    def __init__(self, net: nn.Module, *, periodic: bool = True) -> None:
        super().__init__()
        self.net = net
        self.periodic = periodic

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Velocity at fields and times in [0, 1], one or ``(batch,)``."""
        out = self.net(with_channels(x), batch_times(t, x)).reshape(x.shape)
        return _resolved(out, mean=False) if self.periodic else out
