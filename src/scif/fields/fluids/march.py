"""Time steps of the spectral equations: Runge-Kutta of order four with an integrating factor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import expand_time
from scif.fields.fluids.grid import SpectralGrid, to_physical, to_spectral

__all__ = ["STABLE_COURANT", "March", "Tendency", "UnstableStep"]

# Runge-Kutta of order four is stable for frequency * step < 2 sqrt(2); the fastest frequency kept by the 2/3 rule is
# 2 pi / 3 times the Courant number |u| dt / dx + |v| dt / dy.
STABLE_COURANT = 2 * math.sqrt(2) / (2 * math.pi / 3)


class UnstableStep(ValueError):
    """The time step is too long for the speed of the flow and the grid spacing."""


@dataclass(frozen=True)
class Tendency:
    """Nonlinear part and forcing of ``d vorticity / dt`` with the Courant number per unit of time ``(batch,)``."""

    value: Tensor
    rate: Tensor


class March:
    """Runge-Kutta steps with an integrating factor on one grid."""

    max_steps = 20_000

    def __init__(self, grid: SpectralGrid, damping: Tensor, forcing: Tensor | None, direction: int, cfl: float) -> None:
        self.grid, self.damping, self.forcing, self.direction, self.cfl = grid, damping, forcing, direction, cfl
        # Divergence form of the advection: curl div (u u) = (dxx - dyy)(u v) + dxy (v^2 - u^2), four transforms.
        self.shear = (grid.kx**2 - grid.ky**2) * grid.resolved
        self.strain = grid.kx * grid.ky * grid.resolved
        self.push = 0.0 if forcing is None else float(self._rate(*grid.velocity(forcing[None])))

    def __call__(self, state: Tensor, left: Tensor, steps: int | None) -> Tensor:
        """March every sample of ``state`` for its time ``left`` ``(batch,)``."""
        for taken in range(steps or self.max_steps):
            first = self.tendency(state)
            if steps is None:
                number = self.steps_needed(first.rate, left)
            else:
                number = torch.full_like(left, steps - taken)
                self._refuse(first.rate * left / number, steps)
            if not bool(torch.isfinite(number).all()):
                break
            state = self.step(state, first.value, left / number)
            left = left - left / number
            if not bool((number > 1).any()):
                return state
        msg = f"the flow has no bounded speed after {taken} steps; shorten the duration, or reduce the forcing."
        raise UnstableStep(msg)

    def steps_needed(self, rate: Tensor, left: Tensor) -> Tensor:
        """Equal steps that keep the Courant number, were the speed to grow by no more than the forcing's push."""
        rate = (rate + torch.sqrt(rate**2 + 4 * self.push * self.cfl)) / 2
        return torch.ceil(left * rate / self.cfl).clamp_min(1)

    def tendency(self, state: Tensor) -> Tendency:
        """Nonlinear tendency of the vorticity, and how fast it carries things over the grid."""
        u, v = to_physical(torch.stack(self.grid.velocity(state)), self.grid.size)
        products = to_spectral(torch.stack([u * v, v * v - u * u]))
        value = self.shear * products[0] + self.strain * products[1]
        if self.forcing is not None:
            value = value + self.forcing
        dy, dx = self.grid.spacing
        with torch.no_grad():
            rate = (u.abs() / dx + v.abs() / dy).flatten(1).amax(1)
        return Tendency(value * self.direction, rate)

    def step(self, state: Tensor, k1: Tensor, dt: Tensor) -> Tensor:
        """One step of every sample's own length ``dt`` ``(batch,)``, given the first stage ``k1``."""
        dt = expand_time(dt, state)
        half = torch.exp(-self.damping * dt / 2)
        full = half * half
        k2 = self.tendency(half * (state + dt / 2 * k1)).value
        k3 = self.tendency(half * state + dt / 2 * k2).value
        k4 = self.tendency(full * state + dt * half * k3).value
        return full * (state + dt / 6 * k1) + dt / 3 * half * (k2 + k3) + dt / 6 * k4

    def _rate(self, u: Tensor, v: Tensor) -> Tensor:
        dy, dx = self.grid.spacing
        return (to_physical(u, self.grid.size).abs() / dx + to_physical(v, self.grid.size).abs() / dy).amax()

    def _refuse(self, courant: Tensor, steps: int) -> None:
        if bool((courant <= STABLE_COURANT).all()):
            return
        worst = float(courant.max())
        sample = int(courant.argmax())
        advised = math.ceil(steps * worst / self.cfl)
        msg = (
            f"steps={steps} gives a Courant number of {worst:.3g} in sample {sample}, and steps above "
            f"{STABLE_COURANT:.2f} are unstable; take about {advised} steps, or steps=None."
        )
        raise UnstableStep(msg)
