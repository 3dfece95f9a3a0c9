"""Steady forcing of the vorticity as a sum of plane waves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.fields.fluids.grid import SpectralGrid

__all__ = ["Wave", "kolmogorov"]


@dataclass(frozen=True)
class Wave:
    """Vorticity forcing ``amplitude * cos(ny * ky + nx * kx + phase)``, with ``n`` in periods per side.

    Every steady periodic forcing is a sum of waves, which is defined at any resolution and saved as numbers.

    Examples
    --------
    >>> import math
    >>> from scif.fields.fluids import Wave
    >>> diagonal = Wave(0.1 * math.sqrt(2), (1, 1), phase=-math.pi / 4)  # 0.1 (sin + cos)(2 pi (x + y) / length)
    """

    amplitude: float
    """Largest value, in vorticity per time."""
    wavenumber: tuple[int, int]
    """Periods along ``y`` and ``x``."""
    phase: float = 0.0
    """Phase in radians."""

    def __post_init__(self) -> None:
        if tuple(self.wavenumber) == (0, 0):
            msg = "wavenumber is (0, 0), but a uniform forcing of the vorticity drives no periodic flow; drop the wave."
            raise ValueError(msg)

    def on(self, grid: SpectralGrid) -> Tensor:
        """The forcing at the points of a grid, ``(height, width)``."""
        y, x = grid.coordinates()
        (ny, nx), (ly, lx) = self.wavenumber, grid.length
        return self.amplitude * torch.cos(2 * math.pi * (ny * y / ly + nx * x / lx) + self.phase)


def kolmogorov(amplitude: float = 1.0, periods: int = 4, *, length: float = 2 * math.pi) -> Wave:
    """Kolmogorov forcing: a body force ``amplitude * sin(2 pi periods y / length)`` along ``x``.

    Parameters
    ----------
    amplitude
        Largest acceleration.
    periods
        Periods of the force along ``y``.
    length
        Side length of the domain along ``y``.

    Returns
    -------
    The curl of the force, as a :class:`Wave`.
    """
    return Wave(-amplitude * 2 * math.pi * periods / length, (periods, 0))
