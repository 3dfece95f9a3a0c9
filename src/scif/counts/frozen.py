"""Frozen results of stages: to another device, to named tensors and back."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["flatten", "restore", "to_device"]

Result = TypeVar("Result")
#: What a fact may be; everything else is a tensor or another frozen dataclass.
FACTS = (bool, int, float, str, type(None))


def to_device(result: Result, device: torch.device | str) -> Result:
    """Copy a frozen dataclass, and those inside it, with all tensors on a device and contiguous.

    Products of contiguous and of transposed matrices round differently; a saved model has contiguous ones.

    Examples
    --------
    >>> from scif.counts.posterior.parameters import CellScale
    >>> to_device(CellScale(centre=0.0, spread=0.5), "cpu")
    CellScale(centre=0.0, spread=0.5)
    """
    changes: dict[str, Any] = {}
    for field in fields(result):  # type: ignore[arg-type]
        value = getattr(result, field.name)
        if isinstance(value, Tensor):
            changes[field.name] = value.to(device).contiguous()
        elif is_dataclass(value):
            changes[field.name] = to_device(value, device)
    return replace(result, **changes)  # type: ignore[type-var]


def flatten(result: Any, *, prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a frozen dataclass, by dotted names.

    A nested dataclass that is there has the fact ``name = true``, one that is absent ``name = null``.

    Raises
    ------
    TypeError
        If a field is neither a tensor, a number, a string nor a dataclass.

    Examples
    --------
    >>> from scif.counts.posterior.parameters import CellScale
    >>> flatten(CellScale(centre=0.0, spread=0.5))
    ({}, {'centre': 0.0, 'spread': 0.5})
    """
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for field in fields(result):
        name, value = prefix + field.name, getattr(result, field.name)
        if isinstance(value, Tensor):
            tensors[name] = value.detach().cpu().contiguous()
        elif is_dataclass(value):
            facts[name] = True
            more, known = flatten(value, prefix=f"{name}.")
            tensors |= more
            facts |= known
        elif isinstance(value, FACTS):
            facts[name] = value
        else:
            msg = f"{name} is a {type(value).__name__}; results hold tensors, numbers and other results."
            raise TypeError(msg)
    return tensors, facts


def restore(kind: type[Result], tensors: dict[str, Tensor], facts: dict[str, Any], *, prefix: str = "") -> Result:
    """Make a frozen dataclass of what :func:`flatten` gave.

    Raises
    ------
    ValueError
        If a field is missing; names it.

    Examples
    --------
    >>> from scif.counts.posterior.parameters import CellScale
    >>> restore(CellScale, {}, {"centre": 0.0, "spread": 0.5})
    CellScale(centre=0.0, spread=0.5)
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name, nested = prefix + field.name, _dataclass(hints[field.name])
        if name in tensors:
            values[field.name] = tensors[name]
        elif name not in facts:
            msg = f"{name} is missing; the file is incomplete or from another version."
            raise ValueError(msg)
        elif nested is not None and facts[name] is not None:
            values[field.name] = restore(nested, tensors, facts, prefix=f"{name}.")
        else:
            values[field.name] = facts[name]
    return kind(**values)


def _dataclass(hint: Any) -> Any:
    """Return the dataclass of a type such as ``Loadings | None``; None if there is none."""
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((choice for choice in choices if is_dataclass(choice)), None)
