"""Trained inverters as files of numbers and plain text, which hold no code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from scif import modelfile
from scif.core.noise import NoiseModel
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.forcing import Wave
from scif.fields.fluids.solver import NavierStokes2D
from scif.modelfile import ModelFileError

__all__ = ["KIND", "SavedInverter", "check_weights", "read", "write"]

KIND = "fluids.FluidInverter"
"""Kind of model file."""
_MOST = 1_000_000
"""No setting that counts something is larger; a file that says so is damaged or hostile."""


@dataclass(frozen=True)
class SavedInverter:
    """Everything that makes an inverter again, apart from a channel that is code."""

    settings: dict[str, Any]
    """Arguments of the class, apart from the channel."""
    channel: NoiseModel | None
    """The channel, if a file can hold it."""
    about: dict[str, Any]
    """Measured in the training data."""
    history: dict[str, list[float]]
    """Training curves."""
    net: dict[str, Tensor]
    """Weights of the network."""
    spread: dict[str, Tensor]
    """Weights of the spread; empty without."""


def write(saved: SavedInverter, path: str | Path, *, overwrite: bool) -> None:
    """Write a model file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false.
    """
    known = _channel_to(saved.channel) if isinstance(saved.channel, NavierStokesChannel) else None
    history = {name: [v if math.isfinite(v) else None for v in values] for name, values in saved.history.items()}
    tensors = {f"net.{k}": v for k, v in saved.net.items()} | {f"spread.{k}": v for k, v in saved.spread.items()}
    facts = {"settings": saved.settings, "channel": known, "about": saved.about, "history": history}
    modelfile.write(path, kind=KIND, tensors=tensors, facts=facts, overwrite=overwrite)


def read(path: str | Path) -> SavedInverter:
    """Read what :func:`write` wrote.

    Raises
    ------
    ModelFileError
        If the file is another one or damaged.
    """
    file = modelfile.read(path, kind=KIND)
    with modelfile.refuse_errors(path):
        facts = file.facts
        settings, about, known = dict(facts["settings"]), dict(facts["about"]), facts["channel"]
        for name in ("num_steps", "width", "modes", "depth"):
            if not 1 <= settings[name] <= _MOST:
                msg = f"{name} is {settings[name]}"
                raise ValueError(msg)
        history = {k: [math.nan if v is None else float(v) for v in vs] for k, vs in facts["history"].items()}
        channel = None if known is None else _channel_from(known)
    parts = (_part_of(file.tensors, prefix) for prefix in ("net.", "spread."))
    return SavedInverter(settings, channel, about, history, *parts)


def check_weights(path: str | Path, weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse a file that declares a network that it does not hold.

    Parameters
    ----------
    path
        The file, for the message.
    weights
        What it holds.
    wanted
        What the network has; of the ``meta`` device, where sizes cost nothing.
    """
    for name, value in wanted.items():
        if name not in weights or weights[name].shape != value.shape:
            msg = f"{str(path)!r} is no usable model file: it declares a network that it does not hold. Save it again."
            raise ModelFileError(msg)


def _channel_to(channel: NavierStokesChannel) -> dict[str, Any]:
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


def _channel_from(data: Mapping[str, Any]) -> NavierStokesChannel:
    """The channel that :func:`_channel_to` described."""
    solver = dict(data["solver"])
    waves: Sequence[Mapping[str, Any]] = solver["forcing"]
    solver["forcing"] = [Wave(**{**wave, "wavenumber": tuple(wave["wavenumber"])}) for wave in waves]
    solver["length"] = tuple(solver["length"]) if isinstance(solver["length"], list) else solver["length"]
    return NavierStokesChannel(NavierStokes2D(**solver), data["duration"], sigma=data["sigma"], steps=data["steps"])


def _part_of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
