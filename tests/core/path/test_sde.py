"""Trajectories of a forward process: its moments at the knots, straight lines in between."""

from __future__ import annotations

import math

import pytest
import torch

from scif.core import Domain, Linear, SDETrajectory
from scif.core.noise import Jacobi, SDEChannel


def ornstein_uhlenbeck(*, segments: int = 4, num_steps: int = 100) -> SDETrajectory:
    channel = SDEChannel(lambda x, tau: -x, lambda x, tau: 1.0 + 0.0 * x, horizon=0.8, num_steps=num_steps)
    return SDETrajectory(channel, segments=segments)


def brownian(segments: int) -> SDETrajectory:
    channel = SDEChannel(lambda x, tau: 0.0 * x, lambda x, tau: 1.0 + 0.0 * x, horizon=1.0, num_steps=1)
    return SDETrajectory(channel, segments=segments)


def jacobi(*, segments: int = 4) -> SDETrajectory:
    return SDETrajectory(Jacobi(horizon=0.3, num_steps=40), segments=segments)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_moments_at_the_knots() -> None:
    n, horizon = 20_000, 0.8
    x0 = torch.full((n, 1), 2.0, dtype=torch.float64)
    path = ornstein_uhlenbeck()
    for t in (0.25, 0.5, 1.0):
        x_t = path.sample(x0, x0, t, generator=seeded()).x_t
        decay = math.exp(-horizon * t)
        variance = 0.5 * (1.0 - decay**2)
        # standard errors, and the first-order bias of 100 Euler-Maruyama steps
        assert x_t.mean().item() == pytest.approx(2.0 * decay, abs=4 * (variance / n) ** 0.5 + 0.008)
        assert x_t.var().item() == pytest.approx(variance, rel=4 * (2 / n) ** 0.5 + 0.02)


def test_pair_lies_on_one_trajectory() -> None:
    x0 = torch.rand(50, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = torch.linspace(0.0, 0.7, 50, dtype=torch.float64)
    t = torch.linspace(0.1, 1.0, 50, dtype=torch.float64)
    path = jacobi()
    pair = path.pair(x0, x0, s, t, generator=seeded())
    at_s, at_t = (path.sample(x0, x0, time, generator=seeded()) for time in (s, t))
    assert torch.equal(pair.x_s, at_s.x_t)
    assert torch.equal(pair.x_t, at_t.x_t)
    assert torch.equal(pair.u_t, at_t.u_t)


def test_velocity_is_the_derivative_inside_a_segment() -> None:
    x0 = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    path = jacobi()
    for low, high in ((0.01, 0.24), (0.26, 0.5), (0.8, 1.0)):
        pair = path.pair(x0, x0, low, high, generator=seeded())
        torch.testing.assert_close(pair.x_s, pair.x_t - (high - low) * pair.u_t)
    start = path.sample(x0, x0, 0.0, generator=seeded())
    assert torch.equal(start.x_t, x0)
    torch.testing.assert_close(start.u_t, path.sample(x0, x0, 0.2, generator=seeded()).u_t)


def test_one_segment_is_the_straight_line_to_the_simulated_end() -> None:
    x0 = torch.ones(30, 2, dtype=torch.float64)
    path = ornstein_uhlenbeck(segments=1, num_steps=50)
    x1 = path.sample(x0, x0, 1.0, generator=seeded()).x_t
    t = torch.linspace(0.1, 0.9, 30, dtype=torch.float64)
    torch.testing.assert_close(path.sample(x0, x0, t, generator=seeded()).x_t, Linear().sample(x0, x1, t).x_t)


def test_process_keeps_its_domain() -> None:
    x0 = torch.tensor([[0.0, 1.0, 0.5, 0.01]]).repeat(200, 1)
    path = jacobi(segments=5)
    for t in (0.1, 0.5, 1.0):
        assert Domain.UNIT.contains(path.sample(x0, x0, t, generator=seeded()).x_t)


def test_fine_steps_follow_the_flow_and_knot_steps_the_posterior_mean() -> None:
    """Brownian motion from N(0, q): slopes multiply to transport in the one case, to the mean in the other."""
    n, q = 30_000, 1.0
    x0 = q**0.5 * torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def slope(path: SDETrajectory, num_steps: int) -> float:
        product = 1.0
        for k in range(num_steps):
            pair = path.pair(x0, x0, k / num_steps, (k + 1) / num_steps, generator=seeded())
            product *= float((pair.x_s * pair.x_t).mean() / pair.x_t.square().mean())
        return product

    knots = slope(brownian(segments=4), 4)
    fine = slope(brownian(segments=1), 16)
    assert knots == pytest.approx(q / (q + 1.0), abs=0.02)
    assert fine == pytest.approx((q / (q + 1.0)) ** 0.5, abs=0.02)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="segments is 0"):
        jacobi(segments=0)
    with pytest.raises(ValueError, match="x0 contains 1.5"):
        jacobi().sample(torch.full((1, 1), 1.5), torch.zeros(1, 1), 0.5)
    with pytest.raises(ValueError, match="s = 0.7 is not below t = 0.2"):
        jacobi().pair(torch.zeros(1, 1), torch.zeros(1, 1), 0.7, 0.2)
