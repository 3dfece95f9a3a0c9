"""Fields that do not continue periodically: found, refused, or windowed."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_fraction

__all__ = ["broken_axes", "window"]

JUMP = 4.0
"""Mean square of second differences across the seam over that elsewhere, from which on a seam counts as a jump. It is 1
for periodic fields; windows of turbulence have 10 and more."""


def broken_axes(fields: Tensor) -> list[str]:
    """Axes (``"y"``, ``"x"``) along which fields ``(..., height, width)`` jump from one side to the other.

    Second differences at the seam are compared with those inside, pooled over all fields. The seam must also exceed the
    roughest line inside, so that a single field with one sharp front is not refused.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import broken_axes, random_vorticity
    >>> field = random_vorticity(4, 64, cutoff=5, generator=torch.Generator().manual_seed(0))
    >>> broken_axes(field), broken_axes(field[:, :32])
    ([], ['y'])
    """
    flat = fields.reshape(-1, *fields.shape[-2:])
    broken = []
    for name, axis in (("y", -2), ("x", -1)):
        bend = flat - 2 * flat.roll(1, axis) + flat.roll(2, axis)  # at row i: of rows i, i - 1, i - 2
        power = bend.square().mean(0).mean(-1 if axis == -2 else -2)
        seam, inside = power[:2].mean(), power[2:]
        if float(seam) > JUMP * float(inside.mean()) and float(seam) > 1.5 * float(inside.max()):
            broken.append(name)
    return broken


def window(fields: Tensor, *, margin: float = 0.125) -> Tensor:
    """Taper fields ``(..., height, width)`` towards their mean at the sides, so that they continue periodically.

    Parameters
    ----------
    fields
        Fields, with any number of leading axes.
    margin
        Fraction of a side over which the taper rises from 0 to 1.
    """
    check_fraction(margin, name="margin")
    mean = fields.mean((-2, -1), keepdim=True)
    rows, columns = (_taper(n, margin, fields) for n in fields.shape[-2:])
    return mean + (fields - mean) * rows[:, None] * columns[None]


def _taper(n: int, margin: float, like: Tensor) -> Tensor:
    position = (torch.arange(n, dtype=like.dtype, device=like.device) + 0.5) / n
    edge = torch.minimum(position, 1 - position) / margin
    return torch.sin(torch.pi / 2 * edge.clamp(0, 1)).square()
