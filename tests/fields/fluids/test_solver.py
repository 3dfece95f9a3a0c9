"""The solver against closed forms, conservation laws and symmetries."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scif.fields.fluids import (
    NavierStokes2D,
    UnstableStep,
    Wave,
    energy,
    enstrophy,
    kolmogorov,
    palinstrophy,
    random_vorticity,
    relative_l2,
    symmetry,
    taylor_green,
    velocity,
)


def fields(n: int = 2, size: int = 24, *, dtype: torch.dtype = torch.float64, cutoff: int | None = None) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return random_vorticity(n, size, cutoff=cutoff, generator=rng, dtype=dtype)


@pytest.mark.parametrize("waves", [1, 3])
def test_taylor_green_decays_as_in_closed_form(waves: int) -> None:
    start = taylor_green(32, waves=waves, dtype=torch.float64)
    end = NavierStokes2D(0.05).solve(start, 2.0)
    exact = start * math.exp(-2 * 0.05 * waves**2 * 2.0)
    assert relative_l2(end, exact) < 1e-6


def test_viscosity_and_duration_per_sample() -> None:
    start = taylor_green(16, dtype=torch.float64).expand(3, 16, 16)
    viscosity, duration = torch.tensor([0.0, 0.1, 0.2]).double(), torch.tensor([1.0, 0.0, 2.0]).double()
    end = NavierStokes2D(viscosity).solve(start, duration)
    torch.testing.assert_close(end, start * torch.exp(-2 * viscosity * duration)[:, None, None])


def test_order_four_in_time() -> None:
    start, flow = fields(1, 24), NavierStokes2D(0.01, forcing=kolmogorov(), drag=0.1)
    reference = flow.solve(start, 0.3, steps=160)
    errors = [float(relative_l2(flow.solve(start, 0.3, steps=steps), reference)) for steps in (10, 20, 40)]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(3.7 < order < 4.3 for order in orders)


def test_chosen_steps_are_accurate() -> None:
    start, flow = fields(2, 24), NavierStokes2D(0.01)
    assert (relative_l2(flow.solve(start, 0.3), flow.solve(start, 0.3, steps=200)) < 1e-3).all()


def test_inviscid_flow_conserves_energy_and_enstrophy() -> None:
    start = fields()
    end = NavierStokes2D(0.0).solve(start, 0.3, steps=60)
    assert relative_l2(end, start).min() > 0.3
    torch.testing.assert_close(energy(end), energy(start), rtol=1e-6, atol=0)
    torch.testing.assert_close(enstrophy(end), enstrophy(start), rtol=1e-6, atol=0)


def test_energy_and_enstrophy_budgets() -> None:
    viscosity, drag, dt = 0.02, 0.1, 1e-3
    flow = NavierStokes2D(viscosity, drag=drag)
    before, now, after = flow.trajectory(fields(), [0.1 - dt, 0.1, 0.1 + dt], steps=40)
    for quantity, lost in ((energy, enstrophy), (enstrophy, palinstrophy)):
        rate = (quantity(after) - quantity(before)) / (2 * dt)
        torch.testing.assert_close(rate, -2 * viscosity * lost(now) - 2 * drag * quantity(now), rtol=1e-4, atol=0)


def test_forcing_feeds_energy_at_the_rate_of_its_work() -> None:
    flow, dt = NavierStokes2D(0.0, forcing=kolmogorov(0.7, 2)), 1e-3
    before, now, after = flow.trajectory(fields(), [0.1 - dt, 0.1, 0.1 + dt], steps=40)
    y = torch.arange(24).double()[:, None] * 2 * math.pi / 24
    work = (velocity(now)[0] * 0.7 * torch.sin(2 * y)).mean((-2, -1))
    torch.testing.assert_close((energy(after) - energy(before)) / (2 * dt), work, rtol=1e-4, atol=1e-7)


def test_wave_forcing_from_rest_in_closed_form() -> None:
    wave, viscosity, drag, time = Wave(1.5, (1, 2), phase=0.4), 0.1, 0.2, 0.8
    end = NavierStokes2D(viscosity, drag=drag, forcing=wave).solve(torch.zeros(1, 16, 16).double(), time, steps=60)
    i = torch.arange(16).double() * 2 * math.pi / 16
    rate = viscosity * 5 + drag
    exact = 1.5 * torch.cos(i[:, None] + 2 * i + 0.4) * (1 - math.exp(-rate * time)) / rate
    torch.testing.assert_close(end[0], exact, rtol=1e-6, atol=1e-9)


def test_strong_forcing_from_rest_takes_enough_steps() -> None:
    flow = NavierStokes2D(0.01, forcing=[kolmogorov(20.0, 2), Wave(30.0, (1, 1))])
    rest = torch.zeros(1, 16, 16).double()
    assert relative_l2(flow.solve(rest, 0.5), flow.solve(rest, 0.5, steps=400)) < 1e-3


def test_rectangle_agrees_with_its_square_part() -> None:
    square = fields(1, 24)
    wide = torch.cat([square, square], dim=-1)
    flow = NavierStokes2D(0.01)
    wide_flow = NavierStokes2D(0.01, length=(2 * math.pi, 4 * math.pi))
    torch.testing.assert_close(wide_flow.solve(wide, 0.1)[..., :24], flow.solve(square, 0.1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("index", range(8))
def test_commutes_with_the_symmetries_of_the_square(index: int) -> None:
    start, flow = fields(1), NavierStokes2D(0.01)
    ahead = flow.solve(symmetry(start, index), 0.1)
    torch.testing.assert_close(ahead, symmetry(flow.solve(start, 0.1), index), rtol=1e-8, atol=1e-10)


def test_resolution_does_not_matter_for_resolved_fields() -> None:
    flow = NavierStokes2D(0.05)
    coarse, fine = (flow.solve(fields(2, size, cutoff=2), 0.2, steps=20) for size in (32, 64))
    assert (relative_l2(fine[:, ::2, ::2], coarse) < 1e-4).all()


def test_a_sample_does_not_depend_on_its_batch() -> None:
    start, flow = fields(3) * torch.tensor([0.1, 1.0, 3.0]).double()[:, None, None], NavierStokes2D(0.01)
    together, alone = flow.solve(start, 0.1), torch.cat([flow.solve(one, 0.1) for one in start.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_times_add_up_and_the_mean_stays() -> None:
    start, flow = fields() + 0.7, NavierStokes2D(0.01, drag=0.3)
    twice = flow.solve(flow.solve(start, 0.05, steps=20), 0.07, steps=28)
    torch.testing.assert_close(twice, flow.solve(start, 0.12, steps=48), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(twice.mean((-2, -1)), start.mean((-2, -1)))


def test_rescaled_units_give_the_same_flow() -> None:
    start = fields()
    flow = NavierStokes2D(torch.tensor([0.01, 0.02]).double(), forcing=kolmogorov(2.0), drag=0.2)
    torch.testing.assert_close(flow.rescaled(4.0).solve(start / 4, 0.4) * 4, flow.solve(start, 0.1))


def test_tendency_is_the_time_derivative() -> None:
    flow, dt = NavierStokes2D(0.02, forcing=kolmogorov(), drag=0.1), 1e-4
    start = fields()
    slope = (flow.solve(start, 2 * dt, steps=2) - start) / (2 * dt)
    torch.testing.assert_close(flow.tendency(flow.solve(start, dt, steps=1)), slope, rtol=1e-5, atol=1e-4)


@pytest.mark.trains
def test_gradients_are_exact() -> None:
    start = fields(1, 7).requires_grad_()
    flow = NavierStokes2D(0.05, forcing=kolmogorov(0.5, 1))
    assert torch.autograd.gradcheck(lambda x: flow.solve(x, 0.05, steps=2), (start,))


def test_single_precision_follows_double() -> None:
    start, flow = fields(), NavierStokes2D(0.01)
    assert (relative_l2(flow.solve(start.float(), 0.1).double(), flow.solve(start, 0.1)) < 1e-5).all()


def test_unstable_steps_are_refused_and_the_advice_works() -> None:
    start, flow = fields(), NavierStokes2D(0.01)
    with pytest.raises(UnstableStep, match=r"steps=1 gives a Courant number .* take about (\d+) steps") as error:
        flow.solve(start, 0.5, steps=1)
    advised = int(str(error.value).split("take about ")[1].split()[0])
    assert (relative_l2(flow.solve(start, 0.5, steps=advised), flow.solve(start, 0.5)) < 1e-2).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda w: w[0, 0], ValueError, r"shape \(24,\)"),
        (lambda w: w[:, :2], ValueError, "at least 4 points"),
        (lambda w: w.half(), TypeError, "float16"),
        (lambda w: w.index_fill(1, torch.tensor([5]), torch.nan), ValueError, r"48 entries .* first at \(0, 5, 0\)"),
    ],
)
def test_bad_fields_are_named(change, error, message) -> None:
    with pytest.raises(error, match=message):
        NavierStokes2D(0.01).solve(change(fields()), 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"viscosity": -1.0}, "viscosity"),
        ({"viscosity": 0.1, "length": (1.0, -2.0)}, "length"),
        ({"viscosity": 0.1, "drag": math.nan}, "drag"),
        ({"viscosity": 0.1, "cfl": 2.0}, "cfl is 2"),
    ],
)
def test_bad_parameters_are_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        NavierStokes2D(**arguments)


def test_bad_times_and_forcing_are_named() -> None:
    flow = NavierStokes2D(0.01)
    with pytest.raises(ValueError, match="duration"):
        flow.solve(fields(), -1.0)
    with pytest.raises(ValueError, match="steps is 0"):
        flow.solve(fields(), 1.0, steps=0)
    with pytest.raises(ValueError, match="increasing"):
        flow.trajectory(fields(), [0.2, 0.1])
    with pytest.raises(ValueError, match="uniform forcing"):
        Wave(1.0, (0, 0))
    with pytest.raises(ValueError, match=r"viscosity has shape \(3,\)"):
        NavierStokes2D(torch.full((3,), 0.1)).solve(fields(), 0.1)
    with pytest.raises(ValueError, match=r"duration has shape \(3,\)"):
        flow.solve(fields(), torch.ones(3))
