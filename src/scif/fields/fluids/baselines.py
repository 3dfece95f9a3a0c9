"""Inversions that need no training: the final field itself, and marching the equations backward in time."""

from __future__ import annotations

import math

from torch import Tensor

from scif.core._check import check_positive
from scif.fields.fluids.grid import SpectralGrid
from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["backward_integration"]


def backward_integration(
    final: Tensor,
    solver: NavierStokes2D,
    duration: float | Tensor,
    *,
    max_gain: float = 100.0,
    order: int = 4,
    steps: int | None = None,
) -> Tensor:
    """Estimate the initial field by integrating backward in time from the final field, stabilised by hyperviscosity.

    Backward in time, viscosity amplifies a mode by ``exp(viscosity k^2 duration)``, including its noise and rounding
    errors. A hyperviscosity ``h k^(2 order)``, which damps in the direction of integration, limits the gain. ``h`` is
    chosen so that the most amplified mode gains ``max_gain`` over the whole duration.

    Parameters
    ----------
    final
        Final field, ``(batch, ..., height, width)`` or ``(height, width)``.
    solver
        Solver of the flow.
    duration
        Time to integrate backward, one number or one per sample ``(batch,)``.
    max_gain
        Largest amplification of a mode, above 1.
    order
        Power of the Laplacian in the hyperviscosity, at least 2.
    steps
        Number of equal steps; by default chosen from the speed of the flow.

    Returns
    -------
    Estimate of the initial field, with the shape of ``final``.

    References
    ----------
    Carasso, *Computing ill-posed time-reversed 2D Navier-Stokes equations*, Inverse Probl. Sci. Eng. 28 (2020), whose
    smoothing has the same purpose.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import NavierStokes2D, backward_integration, random_vorticity, relative_l2
    >>> flow = NavierStokes2D(viscosity=1e-3)
    >>> start = random_vorticity(1, 32, generator=torch.Generator().manual_seed(0))
    >>> end = flow.solve(start, 0.2)
    >>> bool(relative_l2(backward_integration(end, flow, 0.2), start) < 0.1 * relative_l2(end, start))
    True
    """
    check_positive(duration, name="duration", strict=False)
    if not max_gain > 1.0 or order < 2:
        msg = f"max_gain is {max_gain} and order is {order}; take a gain above 1 and an order of at least 2."
        raise ValueError(msg)

    def damping(grid: SpectralGrid, viscosity: float | Tensor) -> Tensor:
        growth = viscosity * grid.k2 + solver.drag * (grid.k2 > 0)
        # With q = k^2 and p the order, the growth a q - h q^p is largest where h p q^(p - 1) = a; there it is
        # a q (1 - 1 / p), which is set to log(max_gain) / duration.
        peak = math.log(max_gain) * order / (order - 1)
        span = _like(duration, growth)
        return growth * ((viscosity * grid.k2 * span / peak) ** (order - 1) / order - 1)

    return solver.integrate(final, duration, damping, steps=steps, direction=-1)


def _like(duration: float | Tensor, growth: Tensor) -> float | Tensor:
    if isinstance(duration, Tensor) and duration.ndim:
        return duration.to(growth).reshape(-1, *[1] * max(growth.ndim - 1, 2))
    return duration
