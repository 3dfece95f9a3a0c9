"""The periodic grid in Fourier space: wavenumbers, derivatives, and velocity from vorticity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import check_positive

__all__ = ["SpectralGrid", "check_field", "to_physical", "to_spectral"]


def to_spectral(field: Tensor) -> Tensor:
    """Fourier coefficients ``(..., height, width // 2 + 1)`` of a real field; they do not depend on the grid's size."""
    return torch.fft.rfft2(field, norm="forward")


def to_physical(coefficients: Tensor, size: tuple[int, int]) -> Tensor:
    """The real field ``(..., height, width)`` with the given Fourier coefficients."""
    return torch.fft.irfft2(coefficients, s=size, norm="forward")


def check_field(field: Tensor, *, name: str) -> None:
    """Raise unless a tensor is a finite real field ``(..., height, width)`` with sides of at least 4 points."""
    if field.dtype not in (torch.float32, torch.float64):
        msg = f"{name} has dtype {field.dtype}; Fourier transforms need float32 or float64."
        raise TypeError(msg)
    if field.ndim < 2 or min(field.shape[-2:]) < 4:
        msg = (
            f"{name} has shape {tuple(field.shape)}; pass (..., height, width) with the two axes of space last, "
            "each of at least 4 points."
        )
        raise ValueError(msg)
    finite = torch.isfinite(field)
    if not bool(finite.all()):
        where = tuple(int(i) for i in torch.nonzero(~finite)[0])
        msg = f"{name} has {int((~finite).sum())} entries that are NaN or infinite, the first at {where}; fix them."
        raise ValueError(msg)


@dataclass(frozen=True)
class SpectralGrid:
    """Wavenumbers of a doubly periodic rectangle sampled on ``size`` points.

    Rows are ``y`` and columns ``x``. Tensors are laid out as by :func:`torch.fft.rfft2`.

    Examples
    --------
    >>> from scif.fields.fluids import SpectralGrid
    >>> grid = SpectralGrid.of((8, 8))
    >>> grid.kx[0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    size: tuple[int, int]
    """Points along ``y`` and ``x``."""
    length: tuple[float, float]
    """Side lengths along ``y`` and ``x``."""
    kx: Tensor
    """Wavenumbers along ``x``, ``(1, width // 2 + 1)``."""
    ky: Tensor
    """Wavenumbers along ``y``, ``(height, 1)``."""
    k2: Tensor
    """Squared wavenumbers, ``(height, width // 2 + 1)``."""
    resolved: Tensor
    """Mask of the modes kept by the 2/3 rule."""

    @classmethod
    def of(
        cls,
        size: tuple[int, int],
        *,
        length: float | tuple[float, float] = 2 * math.pi,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> SpectralGrid:
        """Grid of ``(height, width)`` points on a rectangle with the given side length(s)."""
        height, width = size
        ly, lx = length if isinstance(length, tuple) else (length, length)
        check_positive(ly, name="length")
        check_positive(lx, name="length")
        iy = torch.fft.fftfreq(height, d=1 / height, dtype=dtype, device=device)[:, None]
        ix = torch.fft.rfftfreq(width, d=1 / width, dtype=dtype, device=device)[None, :]
        kx, ky = ix * (2 * math.pi / lx), iy * (2 * math.pi / ly)
        # Strictly below a third of the points: the aliases of a product then fall outside the kept band.
        resolved = (3 * iy.abs() < height) & (3 * ix < width)
        return cls(size, (ly, lx), kx, ky, kx**2 + ky**2, resolved)

    @classmethod
    def like(cls, field: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> SpectralGrid:
        """Grid of fields ``(..., height, width)``."""
        height, width = field.shape[-2:]
        return cls.of((height, width), length=length, dtype=field.dtype, device=field.device)

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance between points along ``y`` and ``x``."""
        return self.length[0] / self.size[0], self.length[1] / self.size[1]

    @property
    def inverse_k2(self) -> Tensor:
        """``1 / k2``, zero for the mean."""
        return torch.where(self.k2 > 0, 1 / self.k2.clamp_min(torch.finfo(self.k2.dtype).tiny), 0)

    @property
    def multiplicity(self) -> Tensor:
        """Number of times that each stored coefficient occurs in the full plane, ``(1, width // 2 + 1)``."""
        count = torch.full_like(self.kx, 2)
        count[:, 0] = 1
        if self.size[1] % 2 == 0:
            count[:, -1] = 1
        return count

    def coordinates(self) -> tuple[Tensor, Tensor]:
        """Coordinates ``y`` ``(height, 1)`` and ``x`` ``(1, width)`` of the points."""
        (dy, dx), (height, width) = self.spacing, self.size
        y = torch.arange(height, dtype=self.kx.dtype, device=self.kx.device)[:, None] * dy
        x = torch.arange(width, dtype=self.kx.dtype, device=self.kx.device)[None, :] * dx
        return y, x

    def velocity(self, vorticity: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity coefficients ``(u, v)`` along ``x`` and ``y`` of vorticity coefficients (Biot-Savart law).

        The mean of the vorticity does not drive a periodic flow and is ignored.
        """
        stream = vorticity * self.inverse_k2
        return 1j * self.ky * stream, -1j * self.kx * stream

    def divergence(self, u: Tensor, v: Tensor) -> Tensor:
        """Divergence coefficients of velocity coefficients."""
        return 1j * (self.kx * u + self.ky * v)
