"""Argument checks shared by the core: each error names the argument, the value and the mend."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "batch_times",
    "check_batch",
    "check_finite",
    "check_fraction",
    "check_positive",
    "check_same_shape",
    "check_time",
    "check_whole",
    "expand_time",
    "is_number",
    "is_whole",
]


def check_batch(x: Any, *, name: str) -> None:
    """Raise ``TypeError`` for numbers that torch does not calculate with: arrays, lists, whole numbers."""
    if torch.compiler.is_compiling():
        return
    if isinstance(x, np.ndarray | np.generic | list | tuple | int | float):
        msg = f"{name} is a {type(x).__name__}; pass a tensor, as in torch.as_tensor({name}, dtype=torch.float32)."
        raise TypeError(msg)
    if isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex()):
        msg = f"{name} has dtype {x.dtype}; convert it to a floating dtype, as in {name}.float()."
        raise TypeError(msg)


def check_same_shape(a: Tensor, b: Tensor, *, names: tuple[str, str]) -> None:
    """Raise ``ValueError`` unless two tensors have the same shape."""
    if a.shape != b.shape:
        msg = f"{names[0]} has shape {tuple(a.shape)} but {names[1]} has shape {tuple(b.shape)}; pass equal shapes."
        raise ValueError(msg)


def check_time(t: Tensor, *, name: str = "t") -> None:
    """Raise ``ValueError`` unless every time lies in [0, 1] (0 is clean, 1 is observed)."""
    if torch.compiler.is_compiling():
        return
    low, high = (float(v) for v in torch.aminmax(t.detach()))
    if not (low >= 0.0 and high <= 1.0):
        msg = f"{name} has values in [{low:g}, {high:g}]; times must lie in [0, 1] (0 is clean, 1 is observed)."
        raise ValueError(msg)


def check_finite(x: Tensor, *, name: str) -> None:
    """Raise ``ValueError`` naming the first offending value unless every entry is finite."""
    check_batch(x, name=name)
    if torch.compiler.is_compiling() or bool(torch.isfinite(x).all()):
        return
    bad = x.detach()[~torch.isfinite(x)]
    msg = f"{name} contains {float(bad[0]):g} ({len(bad)} such entries); remove values that are not finite."
    raise ValueError(msg)


def check_positive(value: float | Tensor, *, name: str, strict: bool = True) -> None:
    """Raise ``ValueError`` unless a number or every entry of a tensor is finite and positive."""
    if torch.compiler.is_compiling():
        return
    low, high, told = _range(value, name)
    if not (math.isfinite(low) and math.isfinite(high)) or low < 0.0 or (strict and low == 0.0):
        wanted = "positive" if strict else "non-negative"
        msg = f"{told}; it must be finite and {wanted}."
        raise ValueError(msg)


def check_fraction(fraction: float | Tensor, *, name: str = "fraction") -> None:
    """Raise ``ValueError`` unless a share lies strictly between 0 and 1."""
    if torch.compiler.is_compiling():
        return
    low, high, told = _range(fraction, name)
    if not (0.0 < low and high < 1.0):
        msg = f"{told}; it must lie strictly between 0 and 1."
        raise ValueError(msg)


def check_whole(value: Any, *, name: str, least: int = 1) -> int:
    """``value`` as an integer; raise ``ValueError`` if it is not a whole number, or below ``least``.

    Examples
    --------
    >>> check_whole(300, name="max_steps")
    300
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        msg = f"{name} is {value!r}; give a whole number of at least {least}."
        raise ValueError(msg)
    return number


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is one real number of Python or NumPy; True and False are not."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _range(value: Any, name: str) -> tuple[float, float, str]:
    """Least and largest entry, and a sentence that begins with the name and the value."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(value), float(value), f"{name} is {value!r}"
    try:
        found = torch.as_tensor(value).detach()
        low, high = float(found.min()), float(found.max())
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"{name} is {value!r}; pass a number."
        raise TypeError(msg) from error
    return low, high, f"{name} has values in [{low:g}, {high:g}]"


def expand_time(t: Tensor, like: Tensor) -> Tensor:
    """Reshape times ``(batch,)`` (or a scalar) so that they broadcast over ``like`` ``(batch, ...)``."""
    if t.ndim == 0:
        return t
    if t.shape[0] != like.shape[0]:
        msg = f"t has {t.shape[0]} entries but the batch has {like.shape[0]} samples; pass one time per sample."
        raise ValueError(msg)
    return t.reshape(t.shape[0], *([1] * (like.ndim - 1)))


def batch_times(t: float | Tensor, x: Tensor, *, name: str = "t") -> Tensor:
    """Times as ``(batch,)`` in the dtype and on the device of ``x`` ``(batch, ...)``; one number serves all samples."""
    check_batch(x, name="x")  # among whole numbers times would be cut
    t = torch.as_tensor(t, dtype=x.dtype, device=x.device)
    if t.ndim > 1 or (t.ndim == 1 and t.shape[0] != x.shape[0]):
        msg = f"{name} has shape {tuple(t.shape)}; pass one number or one time per sample, shape ({x.shape[0]},)."
        raise ValueError(msg)
    check_time(t, name=name)
    return t.expand(x.shape[0]).contiguous()
