"""The linear-Gaussian case in closed form, against the grids, networks and solvers of the core."""

from __future__ import annotations

import pytest
import torch

from scif.core import (
    ConsistencyFunction,
    Karras,
    Linear,
    Schedule,
    Uniform,
    Velocity,
    linear_gaussian_slope,
    linear_gaussian_survival,
    solve,
)

SNR = torch.tensor([10.0, 3.0, 1.0, 0.3, 0.1])
# the publication holds the boundary at the first Karras time, so its grid has no zero
GRIDS = {
    "one step": (Uniform().grid(1), [0.889, 0.333, 0.0, 0.0, 0.0]),
    "uniform, 11 points": (Uniform().grid(10), [0.990, 0.963, 0.863, 0.0, 0.0]),
    "Karras, 11 points": (Karras().grid(11)[1:], [0.984, 0.945, 0.826, 0.364, 0.036]),
    "Karras, 41 points": (Karras().grid(41)[1:], [0.996, 0.987, 0.959, 0.860, 0.599]),
    "uniform, 101 points": (Uniform().grid(100), [0.999, 0.996, 0.987, 0.939, 0.675]),
}


class Zero(torch.nn.Module):
    """A network that says nothing."""

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


@pytest.mark.trains
@pytest.mark.parametrize("name", GRIDS)
def test_share_of_the_variance_that_survives(name: str) -> None:
    grid, shares = GRIDS[name]
    torch.testing.assert_close(
        linear_gaussian_survival(SNR, grid), torch.tensor(shares, dtype=torch.float64), rtol=0, atol=5.1e-4
    )


def test_holding_the_boundary_at_zero_costs_weak_signals() -> None:
    with_zero = linear_gaussian_survival(SNR, Karras().grid(11))
    without = linear_gaussian_survival(SNR, Karras().grid(11)[1:])
    assert bool((with_zero < without).all())
    assert with_zero[-1] < 1e-3


def test_fine_grids_have_the_slope_of_exact_transport() -> None:
    q = SNR.double()
    torch.testing.assert_close(
        linear_gaussian_slope(q, Uniform().grid(20_000, dtype=torch.float64)), (q / (q + 1)).sqrt(), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("schedule", [Uniform(), Karras()])
@pytest.mark.parametrize("num_steps", [1, 3, 17])
def test_euler_slope_is_the_product_of_regression_slopes(schedule: Schedule, num_steps: int) -> None:
    grid = schedule.grid(num_steps, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for q in (0.1, 1.0, 10.0):
        velocity = Velocity(Zero(), data_scale=q**0.5, noise_scale=1.0)
        slope = linear_gaussian_slope(q, grid).item()
        torch.testing.assert_close(solve(velocity, x, grid=grid).x, slope * x, rtol=1e-6, atol=1e-6)


def test_untrained_consistency_function_is_the_exact_flow_of_gaussian_data() -> None:
    x = 3.0 + torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    scales = {"data_mean": 3.0, "data_scale": 0.6, "noise_scale": 0.8}
    end = solve(Velocity(Zero(), **scales), x, method="adaptive").x
    torch.testing.assert_close(ConsistencyFunction(Zero(), **scales)(x, 1.0), end, rtol=1e-4, atol=1e-4)
    mean = ConsistencyFunction(Zero(), **scales, skip="mean")(x, 1.0)
    torch.testing.assert_close(mean, 3.0 + 0.36 * (x - 3.0))


def test_regression_slope_of_sampled_pairs() -> None:
    generator = torch.Generator().manual_seed(1)
    q, s, t, n = 0.5, 0.3, 0.8, 400_000
    x0 = q**0.5 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    x1 = x0 + torch.randn(n, 1, generator=generator, dtype=torch.float64)
    pair = Linear().pair(x0, x1, s, t)
    slope = (pair.x_s * pair.x_t).mean() / pair.x_t.square().mean()
    grid = torch.tensor([s, t], dtype=torch.float64)
    # standard error of the slope: residual over regressor spread, over sqrt(n)
    residual = (pair.x_s - slope * pair.x_t).std() / pair.x_t.std() / n**0.5
    assert abs(slope - linear_gaussian_slope(q, grid)) < 4 * residual


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="snr is -1"):
        linear_gaussian_survival(-1.0, Uniform().grid(2))
    with pytest.raises(ValueError, match="prior_variance"):
        linear_gaussian_slope(float("nan"), Uniform().grid(2))
