"""Velocities and clean-end predictions say the same thing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scif.core import (
    Affine,
    Linear,
    StochasticInterpolant,
    VarianceExploding,
    VariancePreserving,
    Velocity,
    velocity_from_x0,
    x0_from_velocity,
)

PATHS = [
    Linear(),
    VarianceExploding(ratio=20.0),
    VariancePreserving(),
    StochasticInterpolant(lambda t: (1 - t) ** 2, lambda t: 1 - (1 - t) ** 2),
]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_conversions_recover_both_along_a_path(path: Affine) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 50, 3, 2, generator=generator, dtype=torch.float64)
    t = torch.linspace(0.01, 0.9, 50, dtype=torch.float64)
    point = path.sample(x0, x1, t)
    torch.testing.assert_close(velocity_from_x0(point.x_t, x0, t, path=path), point.u_t)
    torch.testing.assert_close(x0_from_velocity(point.x_t, point.u_t, t, path=path), x0)


def test_round_trip_on_straight_lines_includes_time_one() -> None:
    x_t, x0 = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0.2, 1.0, 5, dtype=torch.float64)
    v = velocity_from_x0(x_t, x0, t)
    torch.testing.assert_close(v, (x_t - x0) / t.unsqueeze(1))
    torch.testing.assert_close(x0_from_velocity(x_t, v, t), x0)
    assert torch.equal(x0_from_velocity(x_t, v, 0.0), x_t)


def test_undefined_conversions_say_so() -> None:
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="velocity_from_x0 is undefined at t = 0"):
        velocity_from_x0(x, x, 0.0)
    with pytest.raises(TypeError, match="latent noise"):
        velocity_from_x0(x, x, 0.5, path=StochasticInterpolant.linear())
    with pytest.raises(ValueError, match="x_t has shape"):
        x0_from_velocity(x, torch.ones(3, 2), 0.5)


def test_untrained_velocity_is_the_regression_of_the_displacement() -> None:
    """For Gaussian data the conditional mean of ``x1 - x0`` is linear: its residual is uncorrelated with the point."""

    class Zero(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.zeros_like(x)

    generator, n = torch.Generator().manual_seed(0), 200_000
    x0 = 1.0 + 0.7 * torch.randn(n, 1, generator=generator)
    x1 = x0 + 0.4 * torch.randn(n, 1, generator=generator)
    point = Linear().sample(x0, x1, 0.6)
    residual = point.u_t - Velocity(Zero(), data_mean=1.0, data_scale=0.7, noise_scale=0.4)(point.x_t, 0.6)
    assert residual.mean().abs() < 4 * residual.std() / n**0.5
    correlation = torch.corrcoef(torch.cat([residual, point.x_t], 1).T)[0, 1]
    assert correlation.abs() < 4 / n**0.5

    # and the factor of the network is the spread of that residual
    class One(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.ones_like(x)

    scales = {"data_scale": 0.7, "noise_scale": 0.4}
    factor = Velocity(One(), **scales)(torch.zeros(1, 1), 0.6)
    assert factor.item() == pytest.approx(residual.std().item(), rel=0.01)
