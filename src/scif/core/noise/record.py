"""Channels as JSON data, for model files: a name and arguments, never code."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scif.core.domain import Domain
from scif.core.noise.base import NoiseModel
from scif.core.noise.compose import Compose
from scif.core.noise.registry import channel_name, find_channel

__all__ = ["from_record", "to_record"]

_DTYPES = {str(one): one for one in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}
_CHAIN = "compose"


def to_record(channel: NoiseModel) -> dict[str, Any]:
    """A channel as JSON data: its name and its arguments.

    Arguments that are not data (functions, say) and classes without a name are left out; :func:`from_record` has to be
    given the channel again then.

    Parameters
    ----------
    channel
        Any channel.

    Examples
    --------
    >>> from scif.core.noise import Poisson
    >>> from scif.core.noise.record import from_record, to_record
    >>> from_record(to_record(Poisson(0.5)))
    Poisson(gain=0.5)
    """
    kind = type(channel)
    record: dict[str, Any] = {
        "name": _CHAIN if kind is Compose else channel_name(kind),
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "arguments": None,
    }
    try:
        record["arguments"] = {name: _to_data(value) for name, value in channel.arguments().items()}
    except TypeError:  # not data
        pass
    return record


def from_record(record: Mapping[str, Any], *, own: NoiseModel | type[NoiseModel] | None = None) -> NoiseModel:
    """The channel of a record.

    Parameters
    ----------
    record
        What :func:`to_record` gave.
    own
        The channel itself (a copy is returned), or its class, where the record names no registered one.

    Raises
    ------
    ValueError
        If the class is not known, or cannot be made of data and is not given.
    """
    if isinstance(own, NoiseModel):
        if _class(type(own)) != record["class"]:
            msg = f"noise is a {_class(type(own))}, but the file holds a {record['class']}; pass one of these."
            raise ValueError(msg)
        return copy.deepcopy(own)
    name = record["name"]
    kind = own or (Compose if name == _CHAIN else find_channel(name) if isinstance(name, str) else None)
    if kind is None or record["arguments"] is None:
        lacks = "which has no registered name here" if kind is None else "whose arguments are not data"
        msg = (
            f"the noise is a {record['class']}, {lacks}; pass the channel as noise=, or "
            "register_channel(name, class) before saving and before loading."
        )
        raise ValueError(msg)
    return kind(**{key: _from_data(value) for key, value in record["arguments"].items()})


def _class(kind: type[NoiseModel]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _to_data(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        if str(value.dtype) not in _DTYPES or not bool(value.isfinite().all()):
            raise TypeError
        return {"tensor": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, NoiseModel):
        inner = to_record(value)
        if inner["arguments"] is None or inner["name"] is None:
            raise TypeError
        return {"channel": inner}
    if isinstance(value, Domain):
        return {"domain": value.value}
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError


def _from_data(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "channel" in value:
        return from_record(value["channel"])
    if "domain" in value:
        return Domain(value["domain"])
    return torch.tensor(value["tensor"], dtype=_DTYPES[value["dtype"]])
