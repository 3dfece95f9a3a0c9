"""Trained denoisers as files that hold numbers and plain text, and no code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import scif.core.noise
from scif.core.noise import NoiseModel
from scif.fields.images._channel import Found
from scif.fields.images._restorer import Restorer
from scif.fields.images._settings import Settings

__all__ = ["Saved", "read", "write"]


@dataclass(frozen=True)
class Saved:
    """Settings, trained networks and training curves."""

    settings: Settings
    restorers: Sequence[Restorer]
    history: Sequence[dict[str, list[float]]]


def write(saved: Saved, path: Path, *, overwrite: bool) -> None:
    """Write everything to one file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false.
    TypeError
        If the noise is a channel that is not part of scif.
    """
    if path.exists() and not overwrite:
        msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
        raise FileExistsError(msg)
    parts = [{"noise": _noise_to(one.noise.noise), "channels": one.noise.scale.numel()} for one in saved.restorers]
    about = {"settings": asdict(saved.settings), "parts": parts, "history": list(saved.history)}
    tensors = {
        f"{k}.{name}": value.detach().cpu().contiguous()
        for k, one in enumerate(saved.restorers)
        for name, value in one.state_dict().items()
    }
    save_file(tensors, path, metadata={"scif": json.dumps(about)})


def read(path: Path) -> Saved:
    """Read what :func:`write` wrote.

    Raises
    ------
    ValueError
        If the file is another one.
    """
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("scif")
        if text is None:
            msg = f"{str(path)!r} was not written by ImageDenoiser.save."
            raise ValueError(msg)
        names = list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    about = json.loads(text)
    lists = ("widths", "factor")
    given: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in about["settings"].items()}
    settings = Settings(**given)
    restorers = []
    for k, part in enumerate(about["parts"]):
        state = {name.removeprefix(f"{k}."): value for name, value in tensors.items() if name.startswith(f"{k}.")}
        found = Found(_noise_from(part["noise"]), pedestal=state["pedestal"])
        with torch.random.fork_rng(devices=()):
            model = settings.model(part["channels"])
        restorers.append(Restorer(model, found, mean=state["noise.offset"], spread=state["noise.scale"]).eval())
        restorers[-1].load_state_dict(state)
    return Saved(settings, restorers, about["history"])


def _noise_to(noise: NoiseModel) -> dict[str, Any]:
    """The name of a channel of the core and its arguments, as plain data."""
    kind = type(noise)
    if getattr(scif.core.noise, kind.__name__, None) is not kind:
        msg = f"the noise is a {kind.__name__}, which a file cannot hold; keep this denoiser with torch.save instead."
        raise TypeError(msg)
    arguments = {}
    for name in inspect.signature(kind).parameters:
        value = getattr(noise, name, None)
        if isinstance(value, Tensor):
            value = {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
        elif not isinstance(value, bool | int | float | str | None):
            msg = f"argument {name} of the noise is a {type(value).__name__}, which a file cannot hold."
            raise TypeError(msg)
        arguments[name] = value
    return {"kind": kind.__name__, "arguments": arguments}


def _noise_from(data: dict[str, Any]) -> NoiseModel:
    if data["kind"] not in scif.core.noise.__all__:
        msg = f"the file names the noise {data['kind']!r}, which this version of scif does not have."
        raise ValueError(msg)
    arguments = {
        name: torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"])) if isinstance(value, dict) else value
        for name, value in data["arguments"].items()
    }
    channel: NoiseModel = getattr(scif.core.noise, data["kind"])(**arguments)
    return channel
