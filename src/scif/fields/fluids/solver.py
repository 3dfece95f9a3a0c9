"""A pseudo-spectral solver of the two-dimensional incompressible Navier-Stokes equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from scif.core._check import check_positive, expand_time
from scif.fields.fluids.forcing import Wave
from scif.fields.fluids.grid import SpectralGrid, check_field, to_physical, to_spectral
from scif.fields.fluids.march import STABLE_COURANT, March

__all__ = ["NavierStokes2D"]


class NavierStokes2D(nn.Module):
    r"""Incompressible flow on a doubly periodic rectangle, in vorticity form.

    Solves :math:`\partial_t \omega + u \cdot \nabla \omega = \nu \Delta \omega - \mu \omega + f` with :math:`\omega =
    \partial_x v - \partial_y u` and :math:`\nabla \cdot u = 0`, for a batch of fields at once. The solver is spectral
    in space: the 2/3 rule removes aliases, so modes above a third of the number of grid points are removed from the
    initial field. In time it uses the classical Runge-Kutta method of order four on :math:`e^{(\nu k^2 + \mu) t}
    \hat\omega`, so viscosity and drag are exact and unconditionally stable. Every sample has its own steps, so a result
    does not depend on the rest of the batch. The mean of the vorticity does not drive a periodic flow; it is kept.

    Parameters
    ----------
    viscosity
        Kinematic viscosity, one number or one per sample ``(batch,)``.
    length
        Side length of the domain, or the two along ``y`` and ``x``.
    forcing
        Steady forcing of the vorticity: one wave or several.
    drag
        Linear (Ekman) friction per time.
    cfl
        Courant number ``dt * max(|u| / dx + |v| / dy)`` for automatically chosen steps.

    References
    ----------
    Canuto, Hussaini, Quarteroni, Zang: *Spectral Methods*, Springer 2007 (dealiasing, integrating factors).

    Examples
    --------
    A Taylor-Green vortex decays at the rate ``2 * viscosity``:

    >>> import math, torch
    >>> from scif.fields.fluids import NavierStokes2D, taylor_green
    >>> start = taylor_green(32, dtype=torch.float64)
    >>> end = NavierStokes2D(viscosity=0.1).solve(start, duration=1.0)
    >>> torch.allclose(end, start * math.exp(-0.2), rtol=1e-9)
    True
    """

    def __init__(
        self,
        viscosity: float | Tensor,
        *,
        length: float | tuple[float, float] = 2 * math.pi,
        forcing: Wave | Sequence[Wave] = (),
        drag: float = 0.0,
        cfl: float = 0.5,
    ) -> None:
        super().__init__()
        check_positive(viscosity, name="viscosity", strict=False)
        check_positive(drag, name="drag", strict=False)
        for side in length if isinstance(length, tuple) else (length,):
            check_positive(side, name="length")
        if not 0.0 < cfl <= STABLE_COURANT:
            msg = f"cfl is {cfl!r}; it must lie above 0 and at most {STABLE_COURANT:.2f}, where steps turn unstable."
            raise ValueError(msg)
        self.viscosity: float | Tensor
        if isinstance(viscosity, Tensor):
            self.register_buffer("viscosity", viscosity)
        else:
            self.viscosity = float(viscosity)
        self.length = length
        self.forcing = (forcing,) if isinstance(forcing, Wave) else tuple(forcing)
        self.drag = float(drag)
        self.cfl = float(cfl)

    def solve(self, vorticity: Tensor, duration: float | Tensor, *, steps: int | None = None) -> Tensor:
        """Compute the field after some time; the result is differentiable in the initial field.

        Parameters
        ----------
        vorticity
            Initial field, ``(batch, ..., height, width)`` or ``(height, width)``.
        duration
            Simulated time, one number or one per sample ``(batch,)``.
        steps
            Number of equal steps; by default chosen from ``cfl`` as the flow evolves.

        Returns
        -------
        Final field, with the shape of ``vorticity``.

        Raises
        ------
        UnstableStep
            If the given ``steps`` are too few for the flow's speed.
        """
        check_positive(duration, name="duration", strict=False)
        return self.integrate(vorticity, duration, self.damping, steps=steps)

    def rescaled(self, scale: float) -> NavierStokes2D:
        """The same flow in units in which vorticities are ``scale`` times smaller, and times ``scale`` times larger.

        If ``w`` solves the equations, ``w / scale`` solves these.
        """
        check_positive(scale, name="scale")
        waves = [replace(wave, amplitude=wave.amplitude / scale**2) for wave in self.forcing]
        viscosity, drag = self.viscosity / scale, self.drag / scale
        return NavierStokes2D(viscosity, length=self.length, forcing=waves, drag=drag, cfl=self.cfl)

    def trajectory(self, vorticity: Tensor, times: Sequence[float], *, steps: int | None = None) -> Tensor:
        """Compute fields ``(len(times), ...)`` at increasing times; the initial field has time zero.

        ``steps`` is the number of steps between two neighbouring times.
        """
        if len(times) == 0 or times[0] < 0 or any(b <= a for a, b in zip(times, times[1:], strict=False)):
            msg = f"times are {list(times)}; pass at least one, increasing from zero on."
            raise ValueError(msg)
        fields, now = [], 0.0
        for time in times:
            vorticity, now = self.solve(vorticity, time - now, steps=steps), time
            fields.append(vorticity)
        return torch.stack(fields)

    def tendency(self, vorticity: Tensor) -> Tensor:
        """The right-hand side of the equation, ``d vorticity / dt``, of the part of a field that the grid resolves."""
        check_field(vorticity, name="vorticity")
        march = self._march(vorticity, self.damping, 1)
        state = to_spectral(vorticity) * march.grid.resolved
        return to_physical(march.tendency(state).value - march.damping * state, march.grid.size)

    def damping(self, grid: SpectralGrid, viscosity: float | Tensor) -> Tensor:
        """Decay rate of every mode by viscosity and drag; zero for the mean."""
        return viscosity * grid.k2 + self.drag * (grid.k2 > 0)

    def integrate(
        self,
        vorticity: Tensor,
        duration: float | Tensor,
        damping: Callable[[SpectralGrid, float | Tensor], Tensor],
        *,
        steps: int | None = None,
        direction: int = 1,
    ) -> Tensor:
        """Integrate forward (``direction=1``) or backward (-1) in time; modes decay at the rates ``damping(grid, nu)``.

        :meth:`solve` calls this with viscous damping. Backward integration with viscosity is ill-posed; see
        :func:`~scif.fields.fluids.backward_integration` for a damping that makes it stable.
        """
        if steps is not None and steps < 1:
            msg = f"steps is {steps}; take at least one."
            raise ValueError(msg)
        check_field(vorticity, name="vorticity")
        batched = vorticity if vorticity.ndim > 2 else vorticity[None]
        march = self._march(batched, damping, direction)
        left = torch.as_tensor(duration, dtype=batched.dtype, device=batched.device)
        _check_batch(left, batched, name="duration")
        left = left.expand(batched.shape[0])
        state = march(to_spectral(batched) * march.grid.resolved, left, steps)
        return to_physical(state, march.grid.size).reshape(vorticity.shape)

    def _march(
        self, vorticity: Tensor, damping: Callable[[SpectralGrid, float | Tensor], Tensor], direction: int
    ) -> March:
        grid = SpectralGrid.like(vorticity, length=self.length)
        viscosity = self.viscosity
        if isinstance(viscosity, Tensor):
            _check_batch(viscosity, vorticity, name="viscosity")
            viscosity = expand_time(viscosity.to(vorticity), vorticity)
        return March(grid, damping(grid, viscosity), self._forcing(grid), direction, self.cfl)

    def _forcing(self, grid: SpectralGrid) -> Tensor | None:
        if not self.forcing:
            return None
        return to_spectral(torch.stack([wave.on(grid) for wave in self.forcing]).sum(0)) * grid.resolved

    def extra_repr(self) -> str:
        """Text of the parameters."""
        viscosity = self.viscosity if isinstance(self.viscosity, float) else tuple(self.viscosity.shape)
        return f"viscosity={viscosity}, length={self.length}, drag={self.drag}, forcing={self.forcing}, cfl={self.cfl}"


def _check_batch(value: Tensor, fields: Tensor, *, name: str) -> None:
    if value.ndim > 1 or (value.ndim == 1 and value.shape != fields.shape[:1]):
        msg = f"{name} has shape {tuple(value.shape)}; pass one number or one per sample, shape ({fields.shape[0]},)."
        raise ValueError(msg)
