"""Trained denoisers as files that hold numbers and plain text, and no code."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scif import modelfile
from scif.core.noise import NoiseModel
from scif.core.noise.record import from_record, to_record
from scif.fields.images._channel import Found
from scif.fields.images._contrast import NoiseContrast
from scif.fields.images._restorer import Restorer
from scif.fields.images._settings import Settings
from scif.modelfile import ModelFileError

__all__ = ["KIND", "Saved", "read", "write"]

KIND = "images.ImageDenoiser"
"""Kind of model file."""


@dataclass(frozen=True)
class Saved:
    """Settings, trained networks and training curves."""

    settings: Settings
    restorers: Sequence[Restorer]
    history: Sequence[Mapping[str, list[float]]]


def write(saved: Saved, path: Path, *, overwrite: bool) -> None:
    """Write everything to one model file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    """
    parts = [
        {"noise": to_record(one.noise.noise), "channels": one.noise.scale.numel()}
        | ({"contrast": True} if isinstance(getattr(one.model, "net", None), NoiseContrast) else {})
        for one in saved.restorers
    ]
    history = [{name: [_finite(v) for v in values] for name, values in one.items()} for one in saved.history]
    facts = {"settings": saved.settings.to_data(), "parts": parts, "history": history}
    tensors = {f"{k}.{name}": v for k, one in enumerate(saved.restorers) for name, v in one.state_dict().items()}
    modelfile.write(path, kind=KIND, tensors=tensors, facts=facts, overwrite=overwrite)


def read(
    path: Path,
    *,
    noise: NoiseModel | type[NoiseModel] | None = None,
    network: Callable[[int], nn.Module] | nn.Module | None = None,
) -> Saved:
    """Read what :func:`write` wrote.

    Parameters
    ----------
    path
        The file.
    noise
        The channel or its class, where the file names none that is registered.
    network
        The own network, if it was trained with one.

    Raises
    ------
    ModelFileError
        If the file is another one or damaged, or code that it was trained with is not given.
    """
    file = modelfile.read(path, kind=KIND)
    with modelfile.refuse_errors(path):
        own = file.facts["settings"]["own_network"]
        if (own is None) != (network is None):
            msg = f"{str(path)!r} holds scif's own network; leave network= out."
            if own is not None:
                msg = f"{str(path)!r} was trained with the own network {own}; pass it as network=."
            raise ModelFileError(msg)
        settings = Settings.from_data(file.facts["settings"], network=network)
        parts = file.facts["parts"]
        restorers = [_restorer(path, settings, part, _part(file.tensors, k), noise) for k, part in enumerate(parts)]
        history = [
            {name: [_number(v) for v in values] for name, values in one.items()} for one in file.facts["history"]
        ]
    return Saved(settings, restorers, history)


def _restorer(
    path: Path,
    settings: Settings,
    part: Mapping[str, Any],
    state: dict[str, Tensor],
    noise: NoiseModel | type[NoiseModel] | None,
) -> Restorer:
    channels, contrast = part["channels"], bool(part.get("contrast", False))  # absent where it is not used
    if channels != state["noise.scale"].numel() or not _holds(settings, channels, state, contrast=contrast):
        msg = f"{str(path)!r} is no usable model file: it declares a network that it does not hold. Save it again."
        raise ModelFileError(msg)
    try:
        channel = from_record(part["noise"], own=noise)
    except ValueError as error:
        msg = f"{str(path)!r} cannot be loaded: {error}"
        raise ModelFileError(msg) from error
    with torch.random.fork_rng(devices=()):
        model = settings.model(channels, contrast=contrast)
    found = Found(channel, pedestal=state["pedestal"])
    restorer = Restorer(model, found, mean=state["noise.offset"], spread=state["noise.scale"]).eval()
    # files written before errors were calibrated have none
    own = {name: value for name, value in restorer.state_dict().items() if name.startswith("errors.")}
    restorer.load_state_dict(own | state)
    return restorer


def _holds(settings: Settings, channels: int, state: Mapping[str, Tensor], *, contrast: bool) -> bool:
    """Whether the weights of the network are there, before any of its size is made."""
    if settings.own_network is not None:
        return True
    with torch.device("meta"):
        weights = settings.network(channels, contrast=contrast).state_dict()
    prefix = "model.net.net" if contrast or settings.neighbour_frames else "model.net"
    return all(
        name in state and state[name].shape == one.shape
        for name, one in ((f"{prefix}.{key}", value) for key, value in weights.items())
    )


def _part(tensors: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    return {name.removeprefix(f"{k}."): value for name, value in tensors.items() if name.startswith(f"{k}.")}


def _finite(value: float) -> float | None:
    """A number that JSON has."""
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
