"""The fitted grid is optimal, and better than uniform steps where the velocity is stiff."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scif.core import Uniform, UserGrid, fit_grid, solve


def modes(x: Tensor, t: Tensor) -> Tensor:
    """The exact flow from two narrow Gaussians at -1 and 1 to their blur: fast where the modes part."""
    spread = t.unsqueeze(1) ** 2 + 0.02
    return t.unsqueeze(1) * (x - torch.tanh(x / spread)) / spread


def observations(*, seed: int = 0, n: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    modes = 2.0 * torch.randint(2, (n, 2), generator=generator, dtype=torch.float64) - 1.0
    return modes + torch.randn(n, 2, generator=generator, dtype=torch.float64)


def weak(x: Tensor, t: Tensor) -> Tensor:
    """The exact flow of a Gaussian at a signal-to-noise ratio of 1/100: fast near time 0."""
    t = t.unsqueeze(1)
    return t * x / (t**2 + 0.01)


@pytest.mark.trains
@pytest.mark.parametrize("budget", [3, 6, 12])
@pytest.mark.parametrize(("velocity", "ratio"), [(modes, 0.95), (weak, 0.5)])
def test_beats_uniform_steps_at_equal_budget(velocity: Callable[..., Tensor], ratio: float, budget: int) -> None:
    fitted = fit_grid(velocity, observations(seed=0), budget, generator=torch.Generator().manual_seed(0))
    fresh = observations(seed=1, n=1000)
    exact = solve(velocity, fresh, method="adaptive", rtol=1e-8, atol=1e-10).x

    def error(grid: Tensor) -> float:
        return (solve(velocity, fresh, grid=grid).x - exact).norm(dim=1).mean().item()

    assert error(fitted.times) < ratio * error(Uniform().grid(budget))


def test_dynamic_programming_finds_the_best_of_all_grids() -> None:
    """By enumeration on a small grid, for a velocity of time alone, whose local errors are closed forms."""

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return (4.0 * t**3).unsqueeze(1).expand_as(x)

    resolution, budget = 10, 4
    times = torch.linspace(0.0, 1.0, resolution + 1, dtype=torch.float64)

    def total_error(inner: tuple[int, ...]) -> float:
        grid = times[[0, *inner, resolution]]
        step = grid.diff()
        return (4.0 * grid[1:] ** 3 * step - (grid[1:] ** 4 - grid[:-1] ** 4)).square().sum().item()

    best = min(itertools.combinations(range(1, resolution), budget - 1), key=total_error)
    fitted = fit_grid(velocity, torch.zeros(3, 1, dtype=torch.float64), budget, resolution=resolution)
    torch.testing.assert_close(fitted.times, times[[0, *best, resolution]])


def test_whole_resolution_gives_the_fine_grid() -> None:
    fitted = fit_grid(modes, observations(n=4), 16, resolution=16)
    assert isinstance(fitted, UserGrid)
    torch.testing.assert_close(fitted.times, Uniform().grid(16, dtype=torch.float64))


def test_condition_is_passed_on() -> None:
    def velocity(x: Tensor, t: Tensor, *, speed: Tensor) -> Tensor:
        return speed * t.unsqueeze(1) ** 2 * torch.ones_like(x)

    x1 = torch.zeros(2, 1)
    seeds = (torch.Generator().manual_seed(0) for _ in range(2))
    slow, fast = (
        fit_grid(velocity, x1, 3, resolution=16, generator=next(seeds), speed=torch.tensor(v)) for v in (1.0, 5.0)
    )
    assert torch.equal(slow.times, fast.times)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="budget is 20"):
        fit_grid(modes, observations(n=2), 20, resolution=16)
    with pytest.raises(ValueError, match="not finite"):
        fit_grid(lambda x, t: x / 0.0, observations(n=2), 2, resolution=4)
