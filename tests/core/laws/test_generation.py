"""Generalized consistency training generates: one step from noise gives samples of the data."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from scif.core import (
    GCT,
    ConsistencyFunction,
    GrowingSteps,
    Independent,
    Karras,
    PseudoHuber,
    fit,
    sliced_wasserstein,
    transport,
)
from scif.nn import TimeMLP


def eight_gaussians(n: int, generator: torch.Generator) -> Tensor:
    angle = torch.randint(8, (n,), generator=generator) * math.pi / 4
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, generator=generator)


def two_moons(n: int, generator: torch.Generator) -> Tensor:
    angle = torch.rand(n, generator=generator) * math.pi
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    points = torch.where(torch.rand(n, 1, generator=generator) < 0.5, upper, -upper)
    return points + 0.07 * torch.randn(n, 2, generator=generator)


def distance_ratio(data, *, steps: int) -> float:
    """Distance of one-step samples to fresh data, over that between two fresh samples of the data."""
    generator = torch.Generator().manual_seed(0)
    x = data(20_000, generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConsistencyFunction(TimeMLP(2, hidden=64, depth=2), data_scale=float(x.std()))
        objective = GCT(
            Independent(),
            schedule=Karras(),
            num_steps=GrowingSteps(5, 40, over=max(2 * steps // 3, 1)),
            distance=PseudoHuber(0.03),
        )
        averaged = fit(model, objective, x, max_steps=steps, batch_size=500, lr=5e-3, ema_decay=0.99, seed=0)
    ours, reference = 0.0, 0.0
    for _ in range(20):
        first, second = data(2000, generator), data(2000, generator)
        drawn = transport(averaged, torch.randn(2000, 2, generator=generator)).value
        ours += sliced_wasserstein(drawn, second, num_projections=64, generator=generator)
        reference += sliced_wasserstein(first, second, num_projections=64, generator=generator)
    return ours / reference


@pytest.mark.trains
def test_a_short_run_is_closer_to_the_data_than_noise_is() -> None:
    assert distance_ratio(eight_gaussians, steps=150) < 0.75 * distance_ratio(eight_gaussians, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("data", [eight_gaussians, two_moons])
def test_one_step_samples_are_within_twice_the_sampling_distance(data) -> None:
    assert distance_ratio(data, steps=2000) < 2.0
