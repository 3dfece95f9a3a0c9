"""A flow as plain data, for files that hold no code."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import Tensor

from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.forcing import Wave
from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["channel_from", "channel_to", "part_of"]


def channel_to(channel: NavierStokesChannel) -> dict[str, Any]:
    """The arguments of a channel and its solver."""
    solver = channel.solver
    return {
        "solver": {
            "viscosity": solver.viscosity,
            "length": solver.length,
            "forcing": [asdict(wave) for wave in solver.forcing],
            "drag": solver.drag,
            "cfl": solver.cfl,
        },
        "duration": channel.duration,
        "sigma": channel.sigma,
        "steps": channel.steps,
    }


def channel_from(data: dict[str, Any]) -> NavierStokesChannel:
    """The channel that :func:`channel_to` described."""
    solver = dict(data["solver"])
    solver["forcing"] = [Wave(**{**wave, "wavenumber": tuple(wave["wavenumber"])}) for wave in solver["forcing"]]
    solver["length"] = tuple(solver["length"]) if isinstance(solver["length"], list) else solver["length"]
    return NavierStokesChannel(NavierStokes2D(**solver), data["duration"], sigma=data["sigma"], steps=data["steps"])


def part_of(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
