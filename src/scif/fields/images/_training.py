"""How long and how a denoiser trains: checked before any image is read."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scif.fields.images._axes import ImageStack
from scif.fields.images._settings import per_axis

__all__ = ["Training", "default_steps", "whole"]

_STEPS = 1000
"""Optimiser steps at most. On one image of 512 x 512 pixels the second half of them adds 0.1 dB."""
_FEWEST = 300
"""Optimiser steps at least: fewer leave even a small image noisier than need be."""
_PATCH = {2: (48, 48), 3: (8, 32, 32)}


@dataclass(frozen=True)
class Training:
    """Arguments of :meth:`~scif.fields.images.ImageDenoiser.fit`, where each is explained."""

    ndim: int
    max_steps: int | None
    batch_size: int
    patch: tuple[int, ...]
    lr: float
    ema_decay: float
    progress: bool
    trainer: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(cls, ndim: int, *, max_steps: Any, batch_size: Any, patch: Any, **others: Any) -> Training:
        """With whole positive numbers where these are needed.

        Raises
        ------
        ValueError
            If a number is not whole, or too small.
        """
        sides = _PATCH[ndim] if patch is None else patch
        sides = tuple(sides) if isinstance(sides, Sequence) and not isinstance(sides, str) else (sides,) * ndim
        return cls(
            ndim=ndim,
            max_steps=None if max_steps is None else whole("max_steps", max_steps),
            batch_size=whole("batch_size", batch_size),
            patch=per_axis(tuple(whole("patch", side, least=8) for side in sides), ndim, name="patch"),
            **others,
        )


def default_steps(stacks: Sequence[ImageStack]) -> int:
    """Optimiser steps that images of this size deserve: by the square root of the pixels, 1,000 for 512 x 512."""
    pixels = sum(len(stack) * math.prod(stack.spatial) for stack in stacks)
    return int(min(max(_STEPS * (pixels / 512**2) ** 0.5, _FEWEST), _STEPS))


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """``value`` as an integer.

    Raises
    ------
    ValueError
        If it is not a whole number, or below ``least``.

    Examples
    --------
    >>> whole("max_steps", 300)
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
