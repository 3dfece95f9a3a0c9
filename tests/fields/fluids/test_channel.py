"""The flow as a channel, as a path, and marched backward."""

from __future__ import annotations

import math

import pytest
import torch

from scif.core.noise.base import NoDensity, NotSplittable
from scif.fields.fluids import (
    FlowPath,
    NavierStokes2D,
    NavierStokesChannel,
    backward_integration,
    kolmogorov,
    random_vorticity,
    relative_l2,
    spectra,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fields(n: int = 3, size: int = 24) -> torch.Tensor:
    return random_vorticity(n, size, generator=rng(), dtype=torch.float64)


FLOW = NavierStokes2D(0.02, forcing=kolmogorov())


def test_deterministic_channel_is_the_solver() -> None:
    channel = NavierStokesChannel(FLOW, 0.1)
    x0 = fields()
    assert torch.equal(channel.sample(x0), FLOW.solve(x0, 0.1))
    moments = channel.moments(x0)
    assert torch.equal(moments.mean, channel.sample(x0))
    assert not moments.variance.any()
    with pytest.raises(NoDensity, match="sigma=0"):
        channel.log_prob(x0, x0)
    with pytest.raises(NotSplittable):
        channel.split(x0)


def test_noisy_channel_has_its_moments_and_density() -> None:
    channel = NavierStokesChannel(FLOW, 0.1, sigma=0.5)
    x0 = fields(1).expand(60, 24, 24)
    x1, moments = channel.sample(x0, generator=rng(1)), channel.moments(x0)
    noise = (x1 - moments.mean) / moments.variance.sqrt()
    assert abs(float(noise.mean())) < 5 / math.sqrt(noise.numel())
    assert abs(float(noise.var()) - 1) < 5 * math.sqrt(2 / noise.numel())
    density = torch.distributions.Normal(moments.mean, moments.variance.sqrt()).log_prob(x1)
    torch.testing.assert_close(channel.log_prob(x1, x0), density)
    assert torch.equal(x1, channel.sample(x0, generator=rng(1)))


def test_rescaled_channel_is_the_same() -> None:
    channel, x0 = NavierStokesChannel(FLOW, 0.1, sigma=0.5), fields()
    small = channel.rescaled(5.0).sample(x0 / 5, generator=rng(1))
    torch.testing.assert_close(small * 5, channel.sample(x0, generator=rng(1)))


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_path_joins_both_ends_with_its_velocity(sigma: float) -> None:
    channel = NavierStokesChannel(FLOW, 0.1, sigma=sigma)
    path, x0 = FlowPath(channel), fields()
    x1 = channel.sample(x0, generator=rng(1))
    torch.testing.assert_close(path.sample(x0, x1, 0.0).x_t, x0)
    torch.testing.assert_close(path.sample(x0, x1, 1.0).x_t, x1, rtol=1e-5, atol=1e-6)
    t, h = torch.tensor([0.2, 0.5, 0.9]).double(), 1e-3
    ahead, behind = path.sample(x0, x1, t + h).x_t, path.sample(x0, x1, t - h).x_t
    slope = (ahead - behind) / (2 * h)
    assert (relative_l2(slope, path.sample(x0, x1, t).u_t) < 0.02).all()


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_pair_lies_on_one_trajectory(sigma: float) -> None:
    channel = NavierStokesChannel(FLOW, 0.1, sigma=sigma)
    path, x0 = FlowPath(channel), fields()
    x1 = channel.sample(x0, generator=rng(1))
    s, t = torch.tensor([0.0, 0.4, 0.5]).double(), torch.tensor([0.3, 0.8, 1.0]).double()
    pair = path.pair(x0, x1, s, t)
    for at, time in ((pair.x_s, s), (pair.x_t, t)):
        assert (relative_l2(at, path.sample(x0, x1, time).x_t) < 1e-3).all()
    assert (relative_l2(pair.u_t, path.sample(x0, x1, t).u_t) < 1e-2).all()


def test_backward_integration_inverts_what_is_resolved() -> None:
    x0, flow = fields(), NavierStokes2D(0.002, drag=0.1)
    x1 = flow.solve(x0, 0.2)
    back = backward_integration(x1, flow, 0.2, max_gain=1e6)
    assert (relative_l2(x1, x0) > 0.3).all()
    assert (relative_l2(back, x0) < 5e-3).all()
    duration = torch.full((3,), 0.2).double()
    torch.testing.assert_close(backward_integration(x1, flow, duration, max_gain=1e6), back)


@pytest.mark.parametrize("order", [2, 4])
def test_backward_gain_is_the_one_given(order: int) -> None:
    still = 1e-9 * torch.randn(50, 64, 64, dtype=torch.float64, generator=rng())  # too slow to carry anything
    back = backward_integration(still, NavierStokes2D(0.05), 2.0, max_gain=30.0, order=order)
    gain = (spectra(back).enstrophy.mean(0) / spectra(still).enstrophy.mean(0)).sqrt()[:20]
    assert float(gain.max()) == pytest.approx(30.0, rel=0.1)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="duration"):
        NavierStokesChannel(FLOW, 0.0)
    with pytest.raises(ValueError, match="sigma"):
        NavierStokesChannel(FLOW, 1.0, sigma=-1.0)
    with pytest.raises(ValueError, match="max_gain is 1"):
        backward_integration(fields(), FLOW, 0.1, max_gain=1.0)
    with pytest.raises(ValueError, match="times must lie in"):
        FlowPath(NavierStokesChannel(FLOW, 0.1)).sample(fields(), fields(), 1.5)
