"""How close two flows are, and what a flow is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import check_same_shape
from scif.fields.fluids.grid import SpectralGrid, check_field, to_physical, to_spectral

__all__ = [
    "Spectra",
    "divergence",
    "energy",
    "enstrophy",
    "palinstrophy",
    "relative_l2",
    "spectra",
    "spectrum_error",
    "velocity",
    "vorticity",
    "vorticity_correlation",
]


@dataclass(frozen=True)
class Spectra:
    """Energy and enstrophy per wavenumber shell, ``(..., shells)``; their sums are the totals."""

    k: Tensor
    """Wavenumber of each shell, in units of the longest wave."""
    energy: Tensor
    enstrophy: Tensor


def relative_l2(estimate: Tensor, truth: Tensor) -> Tensor:
    """``|estimate - truth| / |truth|`` over space, one number per leading index.

    Parameters
    ----------
    estimate
        Field ``(..., height, width)``.
    truth
        True field, of the same shape.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import relative_l2
    >>> float(relative_l2(torch.full((4, 4), 1.5), torch.ones(4, 4)))
    0.5
    """
    _check_pair(estimate, truth)
    _refuse(truth, (truth == 0).all(-1).all(-1), name="truth")
    return torch.linalg.vector_norm(estimate - truth, dim=(-2, -1)) / torch.linalg.vector_norm(truth, dim=(-2, -1))


def vorticity_correlation(estimate: Tensor, truth: Tensor) -> Tensor:
    """Pearson correlation over space, one number per leading index.

    Parameters
    ----------
    estimate
        Field ``(..., height, width)``.
    truth
        True field, of the same shape.
    """
    _check_pair(estimate, truth)
    for name, field in (("estimate", estimate), ("truth", truth)):
        _refuse(field, field.amax((-2, -1)) == field.amin((-2, -1)), name=name)
    a = estimate - estimate.mean((-2, -1), keepdim=True)
    b = truth - truth.mean((-2, -1), keepdim=True)
    return (a * b).sum((-2, -1)) / (a.square().sum((-2, -1)) * b.square().sum((-2, -1))).sqrt()


def velocity(vorticity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Velocity ``(2, ..., height, width)`` along ``x`` and ``y`` of a periodic flow with the given vorticity.

    Parameters
    ----------
    vorticity
        Vorticity ``(..., height, width)``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(vorticity, length, name="vorticity")
    return to_physical(torch.stack(grid.velocity(to_spectral(vorticity))), grid.size)


def vorticity(velocity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Vorticity ``(..., height, width)`` of velocities ``(2, ..., height, width)`` along ``x`` and ``y``.

    Parameters
    ----------
    velocity
        Velocity ``(2, ..., height, width)`` along ``x`` and ``y``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(velocity, length, name="velocity")
    u, v = to_spectral(velocity)
    return to_physical(1j * (grid.kx * v - grid.ky * u), grid.size)


def divergence(velocity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Divergence ``(..., height, width)`` of velocities ``(2, ..., height, width)``; zero for incompressible flow.

    Parameters
    ----------
    velocity
        Velocity ``(2, ..., height, width)`` along ``x`` and ``y``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(velocity, length, name="velocity")
    u, v = to_spectral(velocity)
    return to_physical(grid.divergence(u, v), grid.size)


def energy(vorticity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Kinetic energy per area, half the mean squared speed, one number per leading index.

    Parameters
    ----------
    vorticity
        Vorticity ``(..., height, width)``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(vorticity, length, name="vorticity")
    return (_power(vorticity, grid) * grid.inverse_k2).sum((-2, -1))


def enstrophy(vorticity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Half the mean squared vorticity, one number per leading index; the mean vorticity is subtracted.

    Parameters
    ----------
    vorticity
        Vorticity ``(..., height, width)``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(vorticity, length, name="vorticity")
    return _power(vorticity, grid).sum((-2, -1))


def palinstrophy(vorticity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Tensor:
    """Half the mean squared gradient of the vorticity; enstrophy falls by twice this times viscosity.

    Parameters
    ----------
    vorticity
        Vorticity ``(..., height, width)``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.
    """
    grid = _grid(vorticity, length, name="vorticity")
    return (_power(vorticity, grid) * grid.k2).sum((-2, -1))


def spectra(vorticity: Tensor, *, length: float | tuple[float, float] = 2 * math.pi) -> Spectra:
    """Compute energy and enstrophy by wavenumber.

    Shell ``i`` holds the modes whose wavenumber, in units of that of the longest wave, rounds to ``i``.

    Parameters
    ----------
    vorticity
        Vorticity ``(..., height, width)``.
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.

    Examples
    --------
    >>> from scif.fields.fluids import spectra, taylor_green
    >>> spectra(taylor_green(16)).energy.argmax()
    tensor(0)
    """
    grid = _grid(vorticity, length, name="vorticity")
    unit = 2 * math.pi / max(grid.length)
    shell = (grid.k2.sqrt() / unit).round().long().flatten()
    power = _power(vorticity, grid)
    count = int(shell.max()) + 1

    def collect(values: Tensor) -> Tensor:
        sums = values.new_zeros(*values.shape[:-2], count)
        return sums.index_add(-1, shell, values.flatten(-2))[..., 1:]

    k = unit * torch.arange(1, count, dtype=vorticity.dtype, device=vorticity.device)
    return Spectra(k, collect(power * grid.inverse_k2), collect(power))


def spectrum_error(estimate: Tensor, truth: Tensor, *, floor: float = 1e-4) -> Tensor:
    """Mean absolute log10 ratio of the mean enstrophy spectra, over shells with a fraction above ``floor``.

    Zero means that the estimate has the right amount of every scale; 1 means a factor of ten too little or too much.

    Parameters
    ----------
    estimate
        Field ``(..., height, width)``.
    truth
        True field, of the same shape.
    floor
        Fraction of the enstrophy below which a shell is ignored.
    """
    _check_pair(estimate, truth)
    _refuse(truth, truth.amax((-2, -1)) == truth.amin((-2, -1)), name="truth")
    have, want = (spectra(field).enstrophy.reshape(-1, spectra(field).k.numel()).mean(0) for field in (estimate, truth))
    kept = want > floor * want.sum()
    return (have[kept].clamp_min(torch.finfo(have.dtype).tiny).log10() - want[kept].log10()).abs().mean()


def _power(vorticity: Tensor, grid: SpectralGrid) -> Tensor:
    """Enstrophy of each stored coefficient and its mirror, the mean's left out."""
    return to_spectral(vorticity).abs().square() * grid.multiplicity * (grid.k2 > 0) / 2


def _grid(field: Tensor, length: float | tuple[float, float], *, name: str) -> SpectralGrid:
    check_field(field, name=name)
    if name == "velocity" and field.shape[0] != 2:
        msg = f"velocity has shape {tuple(field.shape)}; its first axis must hold the two components."
        raise ValueError(msg)
    return SpectralGrid.like(field, length=length)


def _check_pair(estimate: Tensor, truth: Tensor) -> None:
    check_same_shape(estimate, truth, names=("estimate", "truth"))
    check_field(estimate, name="estimate")
    check_field(truth, name="truth")


def _refuse(field: Tensor, still: Tensor, *, name: str) -> None:
    """Raise ``ValueError`` if a field is marked as one that nothing can be compared to."""
    if bool(still.any()):
        value = float(field[still].flatten()[0])
        msg = f"{name} has a field that is {value:g} everywhere; leave it out of the comparison."
        raise ValueError(msg)
