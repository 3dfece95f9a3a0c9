"""Euler-Maruyama channels and the Jacobi diffusion."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from scif.core.noise import Jacobi, NoDensity, SDEChannel


def _decay(num_steps: int, *, diffusion: float = 0.0, seen: list | None = None) -> SDEChannel:
    def drift(x, tau):
        if seen is not None:
            seen.append(tau.flatten()[0].item())
        return -x

    return SDEChannel(drift, lambda x, tau: diffusion + 0 * x, horizon=2.0, num_steps=num_steps)


@pytest.mark.parametrize("num_steps", [1, 3, 7, 400])
def test_exactly_as_many_steps_as_asked_for(num_steps):
    seen: list[float] = []
    x1 = _decay(num_steps, seen=seen).sample(torch.ones(2, 1, dtype=torch.float64))
    assert seen == pytest.approx([2.0 * k / num_steps for k in range(num_steps)])
    torch.testing.assert_close(x1, torch.full_like(x1, (1 - 2.0 / num_steps) ** num_steps))


def test_trajectory_reaches_each_sample_at_its_own_times():
    times = torch.tensor([[0.1, 0.25], [0.4, 0.25], [1.0, 0.9]], dtype=torch.float64)
    states = _decay(1000).trajectory(torch.ones(2, 3, dtype=torch.float64), times)
    assert states.shape == (3, 2, 3)
    torch.testing.assert_close(states, torch.exp(-2 * times)[..., None].expand_as(states), rtol=5e-3, atol=0)


def test_trajectory_points_belong_to_one_realisation(generator):
    brownian = SDEChannel(lambda x, tau: 0 * x, lambda x, tau: 1 + 0 * x, horizon=0.5, num_steps=4, unbiased=True)
    x0 = torch.zeros(20_000, 1, dtype=torch.float64)
    times = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    start, middle, end = brownian.trajectory(x0, times, generator=generator)
    torch.testing.assert_close(start, x0)
    assert middle.var().item() == pytest.approx(0.15, rel=0.05)
    assert end.var().item() == pytest.approx(0.5, rel=0.05)
    # Independent increments: the covariance of two points is the earlier one's variance.
    assert (middle * end).mean().item() == pytest.approx(0.15, rel=0.08)


def test_sampling_is_the_end_of_the_trajectory():
    channel, x0 = _decay(6, diffusion=0.3), torch.ones(3, 2)
    end = channel.trajectory(x0, torch.ones(1), generator=torch.Generator().manual_seed(1))[0]
    assert torch.equal(channel.sample(x0, generator=torch.Generator().manual_seed(1)), end)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (torch.tensor([0.5, 0.2]), "falls by 0.3"),
        (torch.tensor([0.5, 1.2]), "must lie in"),
        (torch.zeros(2, 5), r"times has shape \(2, 5\)"),
        (torch.zeros(0), r"times has shape \(0,\)"),
    ],
)
def test_bad_times_are_named(times, message):
    with pytest.raises(ValueError, match=message):
        _decay(3).trajectory(torch.ones(2, 1), times)


def test_a_diverging_equation_is_named():
    with pytest.raises(ValueError, match=r"the state of the equation contains (inf|nan)"):
        SDEChannel(lambda x, tau: x**9, lambda x, tau: 0 * x, horizon=1.0, num_steps=10).sample(
            torch.full((1, 1), 99.0)
        )


def test_jacobi_has_the_published_mean():
    moments = Jacobi().moments(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    slope = math.exp(-0.2)
    torch.testing.assert_close(
        moments.mean, torch.tensor([[(1 - slope) / 2, (1 + slope) / 2]]).double(), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize(("a", "b", "horizon"), [(1.0, 1.0, 0.2), (0.6, 3.0, 1.5), (2.0, 0.5, 0.05)])
def test_jacobi_moments_solve_their_differential_equation(a, b, horizon):
    channel = Jacobi(a, b, horizon=horizon, sampler="euler")
    x0 = torch.tensor([0.0, 0.2, 0.9, 1.0], dtype=torch.float64)
    mean, square = x0.clone(), x0.square()
    steps = 4000
    for _ in range(steps):
        change = 0.5 * (a - (a + b) * mean), (a + 1) * mean - (a + b + 1) * square
        mean, square = mean + horizon / steps * change[0], square + horizon / steps * change[1]
    moments = channel.moments(x0[None])
    torch.testing.assert_close(moments.mean[0], mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moments.variance[0], square - mean.square(), rtol=2e-3, atol=1e-4)


def test_exact_and_stepped_jacobi_agree_in_distribution(generator):
    x0 = torch.full((20_000, 1), 0.3, dtype=torch.float64)
    levels = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    quantiles = [
        Jacobi(sampler=sampler, num_steps=200).sample(x0, generator=generator).quantile(levels)
        for sampler in ("exact", "euler")
    ]
    assert (quantiles[0] - quantiles[1]).abs().max() < 0.02


def test_jacobi_forgets_where_it_started(generator):
    channel = Jacobi(2.0, 3.0, horizon=20.0)
    x1 = channel.sample(torch.rand(20_000, 1, generator=generator), generator=generator)
    assert x1.mean().item() == pytest.approx(0.4, abs=0.01)
    assert x1.var().item() == pytest.approx(0.4 * 0.6 / 6, rel=0.05)
    log_prob = channel.log_prob(torch.tensor([[0.3]]), torch.tensor([[0.9]]))
    torch.testing.assert_close(log_prob, torch.distributions.Beta(2.0, 3.0).log_prob(torch.tensor([[0.3]])))


def test_copies_of_jacobi_have_parameters_of_their_own():
    channel = Jacobi(sampler="euler", num_steps=3)
    other = copy.deepcopy(channel)
    other.a.fill_(50.0)
    x0 = torch.full((2, 1), 0.5)
    first, second = (c.sample(x0, generator=torch.Generator().manual_seed(0)) for c in (channel, other))
    assert (second > first + 0.1).all()


def test_stepped_jacobi_has_no_density():
    with pytest.raises(NoDensity):
        Jacobi(sampler="euler").log_prob(torch.full((1, 1), 0.5), torch.full((1, 1), 0.5))
