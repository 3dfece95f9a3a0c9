"""Initial fields: the Taylor-Green vortex and random fields with a given energy spectrum."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.fields.fluids.grid import SpectralGrid, to_physical

__all__ = ["matern_spectrum", "mcwilliams_spectrum", "random_vorticity", "taylor_green"]


def mcwilliams_spectrum(k: Tensor, *, peak: float = 6.0) -> Tensor:
    """A broad energy spectrum, ``k^2 / (1 + (k / peak)^4)`` up to a factor, with its maximum at ``peak``.

    Parameters
    ----------
    k
        Wavenumbers.
    peak
        Wavenumber of the maximum.

    References
    ----------
    McWilliams, *The emergence of isolated coherent vortices in turbulent flow*, J. Fluid Mech. 146 (1984).

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import mcwilliams_spectrum
    >>> k = torch.arange(1.0, 20.0)
    >>> int(k[mcwilliams_spectrum(k, peak=6.0).argmax()])
    6
    """
    return k**2 / (1 + (k / peak) ** 4)


def matern_spectrum(k: Tensor, *, scale: float = 7.0, decay: float = 2.5) -> Tensor:
    """Energy spectrum of vorticity with covariance ``(-Laplacian + scale^2)^-decay``, up to a factor: smooth fields.

    Parameters
    ----------
    k
        Wavenumbers.
    scale
        Wavenumber above which the spectrum falls.
    decay
        Decay exponent.

    References
    ----------
    Li et al., *Fourier neural operator for parametric partial differential equations*, ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import matern_spectrum
    >>> float(matern_spectrum(torch.tensor(1.0), scale=1.0, decay=2.0))
    0.25
    """
    return (k**2 + scale**2) ** -decay / k


def random_vorticity(
    n: int,
    size: int | tuple[int, int],
    *,
    spectrum: Callable[[Tensor], Tensor] = mcwilliams_spectrum,
    energy: float = 0.5,
    cutoff: int | None = None,
    length: float | tuple[float, float] = 2 * math.pi,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw independent Gaussian random vorticity fields with a given expected energy spectrum.

    Parameters
    ----------
    n
        Number of fields.
    size
        Number of points along both axes, or ``(height, width)``.
    spectrum
        Energy per wavenumber as a function of the wavenumber, up to a factor.
    energy
        Expected kinetic energy per area, half the mean squared speed.
    cutoff
        Highest mode along each axis; default the highest that the solver resolves. With the same ``cutoff`` and seed,
        fields of different ``size`` sample the same field.
    length
        Side length of the domain, or the two along ``y`` and ``x``.
    generator
        Random generator; default torch's global generator.
    dtype
        Data type of the fields.
    device
        Device of the fields.

    Returns
    -------
    Fields with mean zero, ``(n, height, width)``.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import random_vorticity
    >>> coarse, fine = (
    ...     random_vorticity(1, size, cutoff=10, generator=torch.Generator().manual_seed(0)) for size in (32, 64)
    ... )
    >>> torch.allclose(coarse, fine[:, ::2, ::2], atol=1e-4)
    True
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    highest = (min(height, width) - 1) // 3
    cutoff = highest if cutoff is None else cutoff
    if n < 1 or not 1 <= cutoff <= highest:
        msg = (
            f"n is {n}, cutoff is {cutoff} and size is {height} x {width}; n must be positive and cutoff in "
            f"1..{highest} there: take a larger size, or a lower cutoff."
        )
        raise ValueError(msg)
    check_positive(energy, name="energy")
    small = SpectralGrid.of((2 * cutoff + 1, 2 * cutoff + 1), length=length, dtype=dtype, device=device)
    k = small.k2.sqrt()
    # A ring of radius k holds about 2 pi k modes, and a mode of amplitude a carries the energy a^2 / (2 k^2).
    power = torch.where(k > 0, spectrum(k.clamp_min(k[0, 1])) * k, 0)
    power = power * energy / (small.multiplicity * power * small.inverse_k2 / 2).sum()
    white = torch.randn(n, *small.size, generator=generator, dtype=dtype, device=device)
    modes = torch.fft.rfft2(white, norm="ortho") * power.sqrt()
    full = modes.new_zeros(n, height, width // 2 + 1)
    full[:, : cutoff + 1, : cutoff + 1] = modes[:, : cutoff + 1]
    full[:, -cutoff:, : cutoff + 1] = modes[:, -cutoff:]
    return to_physical(full, (height, width))


def taylor_green(
    size: int, *, waves: int = 1, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """Vorticity ``2 waves cos(waves x) cos(waves y)`` ``(size, size)`` of the Taylor-Green vortex, side ``2 pi``.

    Its advection vanishes, so it decays as ``exp(-2 viscosity waves^2 t)`` and keeps its shape.

    Parameters
    ----------
    size
        Number of points along each side.
    waves
        Number of waves along each side.
    dtype
        Data type of the result.
    device
        Device of the result.

    Examples
    --------
    >>> from scif.fields.fluids import taylor_green
    >>> taylor_green(16).shape
    torch.Size([16, 16])
    """
    y, x = SpectralGrid.of((size, size), dtype=dtype, device=device).coordinates()
    return 2 * waves * torch.cos(waves * x) * torch.cos(waves * y)
