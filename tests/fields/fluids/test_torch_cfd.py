"""Solvers of torch-cfd as channels: its spectral flow, and its finite volumes between walls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scif.core.noise import Gaussian, Simulator
from scif.fields.fluids import FluidInverter, NavierStokes2D, laminar, random_vorticity, relative_l2, velocity

grids = pytest.importorskip("torch_cfd.grids")
SMALL = {"width": 8, "modes": 4, "depth": 2}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectral(x: Tensor) -> Tensor:
    from torch_cfd.spectral import NavierStokes2DSpectral, RK4CrankNicolsonStepper

    n = x.shape[-1]
    grid = grids.Grid((n, n), domain=((0, 2 * math.pi),) * 2)
    flow = NavierStokes2DSpectral(0.15, grid, step_fn=RK4CrankNicolsonStepper())
    return torch.fft.irfft2(flow(torch.fft.rfft2(x.mT), 0.05, 10)[0]).mT


def walled(u: Tensor) -> Tensor:
    """Velocities ``(n, 2, x, y)`` in a box without slip, on a staggered grid."""
    from torch_cfd.boundaries import dirichlet_boundary_conditions
    from torch_cfd.fvm import NavierStokes2DFVMProjection

    n = u.shape[-1]
    grid = grids.Grid((n, n), domain=((0, 1),) * 2)
    walls = (dirichlet_boundary_conditions(2), dirichlet_boundary_conditions(2))
    flow = NavierStokes2DFVMProjection(0.02, grid, bcs=walls)
    parts = zip(u.unbind(1), grid.cell_faces, walls, strict=True)
    state = grids.GridVariableVector(tuple(grids.GridVariable(v, o, grid, w) for v, o, w in parts))
    state, _ = flow.pressure_projection(state)
    for _ in range(5):
        state, _ = flow(state, 0.01)
    return torch.stack([part.data for part in state], 1)


def test_spectral_flows_agree() -> None:
    x0 = random_vorticity(3, 32, cutoff=4, generator=rng())
    assert (relative_l2(spectral(x0), NavierStokes2D(0.15).solve(x0, 0.5)) < 1e-3).all()


@pytest.mark.trains
def test_its_spectral_flow_is_inverted() -> None:
    case = laminar(viscosity=0.15, duration=0.5, cutoff=3)
    train, test = (case.draw(n, 16, generator=rng(n)) for n in (64, 16))
    channel = Gaussian(0.02) @ Simulator(spectral)
    inverter = FluidInverter(channel, network="fno", **SMALL)
    inverter.fit(channel.sample(train.initial, generator=rng()), max_steps=40, lr=6e-3)
    found = inverter.invert(spectral(test.initial))
    assert relative_l2(found, test.initial).mean() < 0.95 * relative_l2(spectral(test.initial), test.initial).mean()


@pytest.mark.trains
def test_its_flow_between_walls_is_inverted() -> None:
    box = torch.sin(math.pi * (torch.arange(16) + 0.5) / 16)
    start = 2 * velocity(random_vorticity(96, 16, cutoff=2, generator=rng())).movedim(0, 1) * box * box[:, None]
    final = walled(start)
    assert torch.isfinite(final).all()
    x0, x1 = start[:16], final[:16]
    inverter = FluidInverter(walled, **SMALL).fit(final[16:], max_steps=100, lr=6e-3)
    before = (x1 - x0).square().mean()
    after = (inverter.invert(x1) - x0).square().mean()
    assert after < 0.9 * before
    assert inverter.misfit(inverter.invert(x1), x1).mean() < inverter.misfit(x1, x1).mean()
