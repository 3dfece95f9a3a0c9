"""Grids ascend from exactly 0 to exactly 1, whatever the rule."""

from __future__ import annotations

import math

import pytest
import torch

from scif.core import GrowingSteps, Karras, KineticOptimal, Schedule, Uniform, UserGrid

SCHEDULES = [Uniform(), Karras(), Karras(rho=1.0, t_min=0.3), KineticOptimal.gaussian(snr=0.5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 160])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ends_are_exact_and_times_ascend(schedule: Schedule, num_steps: int, dtype: torch.dtype) -> None:
    grid = schedule.grid(num_steps, dtype=dtype)
    assert grid.dtype == dtype
    assert grid.shape == (num_steps + 1,)
    assert grid[0] == 0.0
    assert grid[-1] == 1.0
    assert bool((grid.diff() > 0).all())


def test_karras_points_are_equally_spaced_after_the_root() -> None:
    grid = Karras(rho=7.0, t_min=0.02).grid(11, dtype=torch.float64)
    assert grid[1].item() == pytest.approx(0.02)
    roots = grid[1:] ** (1 / 7)
    torch.testing.assert_close(roots.diff(), ((1.0 - 0.02 ** (1 / 7)) / 10 * torch.ones(10)).double())


def test_karras_points_as_published() -> None:
    published = [0.02, 0.033, 0.053, 0.083, 0.125, 0.185, 0.269, 0.382, 0.534, 0.736, 1.0]
    torch.testing.assert_close(Karras().grid(11)[1:], torch.tensor(published), rtol=0, atol=6e-4)


def test_user_grid_returns_its_times() -> None:
    times = [0.0, 0.1, 0.5, 1.0]
    assert UserGrid(times).grid(3, dtype=torch.float64).tolist() == times
    assert UserGrid(torch.tensor(times)).num_steps == 3


def test_growing_steps_double_in_equal_stages_and_stop() -> None:
    num_steps = GrowingSteps(start=3, end=20, over=300)
    seen = [num_steps(step) for step in range(400)]
    assert sorted(set(seen)) == [3, 6, 12, 20]
    assert seen == sorted(seen)
    assert [seen.count(n) for n in (3, 6, 12)] == [100, 100, 100]
    assert GrowingSteps(start=5, end=5, over=10)(3) == 5


def test_kinetic_grid_of_gaussian_data_has_equal_arc_lengths() -> None:
    snr = 2.0
    grid = KineticOptimal.gaussian(snr=snr).grid(8, dtype=torch.float64)
    arc = (snr + grid**2).sqrt()  # the integral of t / sqrt(snr + t^2)
    torch.testing.assert_close(
        arc.diff(), torch.full((8,), (math.sqrt(snr + 1) - math.sqrt(snr)) / 8), check_dtype=False, rtol=1e-3, atol=0
    )


def test_kinetic_grid_has_the_least_energy() -> None:
    """Among grids visited at equal time per step, equal lengths have the least sum of squares."""
    snr = 0.2

    def energy(grid: torch.Tensor) -> float:
        return (snr + grid**2).sqrt().diff().square().sum().item()

    least = energy(KineticOptimal.gaussian(snr=snr).grid(10, dtype=torch.float64))
    assert least < energy(Uniform().grid(10, dtype=torch.float64))
    assert least < energy(Karras().grid(10, dtype=torch.float64))


def test_kinetic_grid_measured_on_gaussian_samples() -> None:
    x0 = torch.randn(600, 1, generator=torch.Generator().manual_seed(0))
    measured = KineticOptimal.from_samples(x0, noise_scale=1.0, generator=torch.Generator().manual_seed(1))
    t = torch.linspace(0.2, 1.0, 9, dtype=torch.float64)
    torch.testing.assert_close(measured.separation(t), 1.0 / (1.0 + t**2), rtol=0, atol=0.08)
    torch.testing.assert_close(measured.grid(5), KineticOptimal.gaussian(snr=1.0).grid(5), rtol=0, atol=0.12)


def test_far_apart_points_move_at_constant_speed() -> None:
    """Noise that never confuses the points leaves the velocity of each line: equal steps."""
    x0 = torch.tensor([[-100.0], [100.0]]).repeat(50, 1)
    grid = KineticOptimal.from_samples(x0, noise_scale=1.0, generator=torch.Generator().manual_seed(1)).grid(4)
    torch.testing.assert_close(grid, Uniform().grid(4), rtol=0, atol=1e-3)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="num_steps is 0"):
        Uniform().grid(0)
    with pytest.raises(ValueError, match="t_min is 1.0"):
        Karras(t_min=1.0)
    with pytest.raises(ValueError, match="coincide in this precision"):
        Uniform().grid(5000, dtype=torch.float16)
    with pytest.raises(ValueError, match="this grid has 2 steps"):
        UserGrid([0.0, 0.5, 1.0]).grid(3)
    with pytest.raises(ValueError, match="run from 0.1 to 1"):
        UserGrid([0.1, 1.0])
    with pytest.raises(ValueError, match="strictly ascending"):
        UserGrid([0.0, 0.6, 0.5, 1.0])
    with pytest.raises(ValueError, match="start = 4 and end = 2"):
        GrowingSteps(start=4, end=2, over=10)
    with pytest.raises(ValueError, match="variance of x0"):
        KineticOptimal.from_samples(torch.ones(5, 1), noise_scale=1.0)
