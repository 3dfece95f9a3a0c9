"""Flows to invert: a laminar one as in the publication, and decaying turbulence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.initial import matern_spectrum, mcwilliams_spectrum, random_vorticity
from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["FlowCase", "FlowPairs", "laminar", "turbulent"]


@dataclass(frozen=True)
class FlowPairs:
    """Initial and final vorticity, each ``(n, height, width)``."""

    initial: Tensor
    final: Tensor


@dataclass(frozen=True)
class FlowCase:
    """A distribution of initial fields, and the flow that acts on them."""

    name: str
    """Name of the case."""
    channel: NavierStokesChannel
    """Flow and measurement of the final field."""
    spectrum: Callable[[Tensor], Tensor]
    """Energy spectrum of the initial fields, up to a factor."""
    energy: float
    """Mean kinetic energy per area of the initial fields."""
    cutoff: int
    """Highest mode of the initial fields, which are therefore the same at every resolution."""

    def draw(self, n: int, size: int, *, batch_size: int = 64, generator: torch.Generator | None = None) -> FlowPairs:
        """Simulate ``n`` flows on ``size * size`` points.

        Examples
        --------
        >>> import torch
        >>> from scif.fields.fluids import laminar
        >>> pairs = laminar().draw(2, 32, generator=torch.Generator().manual_seed(0))
        >>> pairs.initial.shape == pairs.final.shape
        True
        """
        length = self.channel.solver.length
        initial = random_vorticity(
            n,
            size,
            spectrum=self.spectrum,
            energy=self.energy,
            cutoff=self.cutoff,
            length=length,
            generator=generator,
        )
        with torch.no_grad():
            final = [self.channel.sample(part, generator=generator) for part in initial.split(batch_size)]
        return FlowPairs(initial, torch.cat(final))


def laminar(*, viscosity: float = 0.05, duration: float = 1.0, sigma: float = 0.0, cutoff: int = 6) -> FlowCase:
    """Case with smooth fields that rotate by about one radian while viscosity blurs them.

    Parameters
    ----------
    viscosity
        Kinematic viscosity.
    duration
        Time from the initial to the final field.
    sigma
        Standard deviation of the measurement noise on the final field.
    cutoff
        Highest mode of the initial fields.
    """
    channel = NavierStokesChannel(NavierStokes2D(viscosity), duration, sigma=sigma)
    return FlowCase("laminar", channel, partial(matern_spectrum, scale=3.0, decay=3.0), 0.1, cutoff)


def turbulent(*, viscosity: float = 0.005, duration: float = 0.25, sigma: float = 0.0, cutoff: int = 10) -> FlowCase:
    """Case of decaying turbulence with root-mean-square speed 1, whose vortices shear and merge.

    Parameters
    ----------
    viscosity
        Kinematic viscosity.
    duration
        Time from the initial to the final field.
    sigma
        Standard deviation of the measurement noise on the final field.
    cutoff
        Highest mode of the initial fields.
    """
    channel = NavierStokesChannel(NavierStokes2D(viscosity), duration, sigma=sigma)
    return FlowCase("turbulent", channel, partial(mcwilliams_spectrum, peak=4.0), 0.5, cutoff)
