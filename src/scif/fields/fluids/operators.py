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
    """Consistency function from an observation at time ``t`` to the initial field: ``b(x, t) + t * error * net(...)``.

    ``c(x, 0) = x`` for every field that the grid resolves. If the flow is periodic, unresolved modes are removed, and
    the mean of a field is kept, because a periodic flow does not change it. Observations that are not fields (such as
    those of :class:`Coarse` or :class:`Gaps`) exist only at time 1.

    Parameters
    ----------
    net
        Network, called with fields ``(batch, inputs, height, width)`` and times ``(batch,)``. It returns as many
        channels as the state has. Its inputs are the observation as a rough field, the masks of the observation and,
        with ``start="backward"``, also ``b(x, t)``.
    channel
        The flow and its observation, in units in which fields are of order one. :meth:`fit_filter` finds a filter for
        its noise.
    start
        Function before training: ``"identity"`` (the rough field, as published) or ``"backward"`` (the rough field
        integrated backwards by ``t`` times the duration, see :func:`~scif.fields.fluids.backward_integration`).
    max_gain
        Largest amplification of a mode by the backward integration.
    error
        Factor of the network's output. If it is the size of the correction (:meth:`measure_error`), the first steps of
        training do not destroy a good start.
    periodic
        True if fields continue periodically.

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
        """Initial fields for observations at times in [0, 1], one or ``(batch,)``."""
        t = batch_times(t, x)
        if self.observed and bool((t < 1).any()):
            msg = f"t has {float(t.min()):g}, but this channel's observations are not fields and exist at time 1 only."
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
        """The function without its network, without gradient."""
        return self._base(x, t, self.rough(x))

    def rough(self, x: Tensor) -> Lifted:
        """The observation as a field, without inverting the flow."""
        return self.channel.lift(x.detach(), factors=self.factors)

    def _base(self, x: Tensor, t: Tensor, rough: Lifted) -> Tensor:
        if self.start == "backward":
            how = {"share": t, "max_gain": self.max_gain, "factors": self.factors}
            return self.channel.lift(x.detach(), **how).field
        return _resolved(rough.field, mean=True) if self.periodic else rough.field

    @torch.no_grad()
    def fit_filter(self, final: Tensor, *, generator: torch.Generator | None = None) -> float:
        """Find a filter for the channel's noise in observed fields; return the fraction of noise that remains.

        The noise is the difference of simulations with and without it.
        """
        rough = self.channel.lift(final)
        again = self.channel.sample(rough.field, generator=generator)
        noise = self.channel.lift(again).field - self.channel.lift(self.channel.noise_free(rough.field, again)).field
        self.factors = wiener(rough.field, noise)
        left = apply_shells(noise, self.factors.sqrt()).square().mean()
        return float((left / apply_shells(rough.field, self.factors).square().mean()).sqrt())

    @torch.no_grad()
    def measure_error(self, final: Tensor, *, generator: torch.Generator | None = None) -> float:
        """Root-mean-square error of the function without its network, on simulated fields.

        The function turns the final fields into initial fields. Simulated again, these give final fields with known
        initial fields.
        """
        last = final.new_ones(final.shape[0])
        initial = self.base(final, last)
        again = self.base(self.channel.sample(initial, generator=generator), last)
        return float((again - initial).square().mean().sqrt())


class FlowVelocity(nn.Module):
    """Network for the velocity ``v(x, t)`` of a path from initial to final fields.

    Parameters
    ----------
    net
        Network, called with fields ``(batch, channels, height, width)`` of order one and times ``(batch,)``.
    periodic
        True if fields continue periodically; the velocity is then a resolved field with mean zero.
    """

    def __init__(self, net: nn.Module, *, periodic: bool = True) -> None:
        super().__init__()
        self.net = net
        self.periodic = periodic

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Velocity at fields and times in [0, 1], one or ``(batch,)``."""
        out = self.net(with_channels(x), batch_times(t, x)).reshape(x.shape)
        return _resolved(out, mean=False) if self.periodic else out
