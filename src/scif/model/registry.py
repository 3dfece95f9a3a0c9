"""Registries and other nested facts as JSON data, and back."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from scif.counts import config

__all__ = ["as_json", "from_json"]

#: Classes that may be read back: constants of the count method.
_CLASSES = {name: getattr(config, name) for name in config.__all__}


def as_json(value: Any) -> Any:
    """JSON data of nested dictionaries, arrays and configurations.

    Raises
    ------
    TypeError
        If there is anything else; names its type.

    Examples
    --------
    >>> as_json({"genes": np.array(["a", "b"], dtype=object)})
    {'genes': {'__array__': ['a', 'b'], 'dtype': 'object'}}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {"__float__": str(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, np.ndarray):
        return {"__array__": [as_json(item) for item in value.tolist()], "dtype": str(value.dtype)}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"__tuple__": [as_json(item) for item in value]}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        return {"__config__": type(value).__name__} | {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    msg = f"a {type(value).__name__} cannot be saved."
    raise TypeError(msg)


def from_json(value: Any) -> Any:
    """Restore the value that :func:`as_json` was given.

    Examples
    --------
    >>> from_json(as_json({"genes": np.array(["a", "b"], dtype=object)}))["genes"].tolist()
    ['a', 'b']
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        kind = np.dtype(value["dtype"])
        return np.array(from_json(value["__array__"]), dtype=kind)
    if "__float__" in value:
        return float(value["__float__"])
    if "__tuple__" in value:
        return tuple(from_json(value["__tuple__"]))
    known = {key: from_json(item) for key, item in value.items() if key != "__config__"}
    return _CLASSES[value["__config__"]](**known) if "__config__" in value else known
