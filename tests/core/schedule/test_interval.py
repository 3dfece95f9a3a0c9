"""Intervals are drawn from the grid with the frequencies asked for."""

from __future__ import annotations

import math

import pytest
import torch

from scif.core import Interval, Karras, Uniform, draw_interval, loss_weight

GRID = Karras().grid(6, dtype=torch.float64)
N = 30_000


def shares(weights: object) -> torch.Tensor:
    interval = draw_interval(GRID, N, weights=weights, generator=torch.Generator().manual_seed(0))
    index = torch.searchsorted(GRID, interval.s)
    # neighbours on the grid, always
    assert torch.equal(GRID[index], interval.s)
    assert torch.equal(GRID[index + 1], interval.t)
    return torch.bincount(index, minlength=6) / N


def lognormal_mass() -> torch.Tensor:
    """By quadrature, as a second way."""
    t = torch.linspace(1e-6, 1.0, 2_000_001, dtype=torch.float64)
    density = torch.exp(-0.5 * ((t.log() + 1.2) / 1.2) ** 2) / t
    mass = torch.stack([density[(t >= a) & (t < b)].sum() for a, b in zip(GRID[:-1], GRID[1:], strict=True)])
    return mass / mass.sum()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, torch.full((6,), 1 / 6)),
        ("uniform", torch.full((6,), 1 / 6)),
        ("length", GRID.diff()),
        ("lognormal", lognormal_mass()),
        (torch.tensor([0.0, 1.0, 2.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 0.25, 0.5, 0.0, 0.25, 0.0])),
    ],
)
def test_frequencies(weights: object, expected: torch.Tensor) -> None:
    error = 4 * (expected * (1 - expected) / N).sqrt() + 1e-4
    assert bool(((shares(weights) - expected).abs() <= error).all())


def test_dtype_and_determinism() -> None:
    for dtype in (torch.float32, torch.float64):
        a, b = (
            draw_interval(Uniform().grid(5, dtype=dtype), 8, generator=torch.Generator().manual_seed(3)) for _ in "ab"
        )
        assert a.s.dtype == a.t.dtype == dtype
        assert torch.equal(a.s, b.s)
        assert bool((a.s < a.t).all())


def test_loss_weights() -> None:
    interval = Interval(torch.tensor([0.0, 0.5]), torch.tensor([0.25, 1.0]))
    assert loss_weight(interval).tolist() == [4.0, 2.0]
    assert loss_weight(interval, "constant").tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="kind is 'snr'"):
        loss_weight(interval, "snr")


@pytest.mark.parametrize(
    ("grid", "weights", "message"),
    [
        ([0.0, 0.0, 1.0], None, "strictly ascending"),
        ([0.0, 1.5], None, "in \\[0, 1\\]"),
        ([0.0, math.nan], None, "strictly ascending"),
        ([0.0, 0.5, 1.0], torch.ones(3), "one per interval"),
        ([0.0, 0.5, 1.0], torch.tensor([1.0, -1.0]), "not negative"),
        ([0.0, 0.5, 1.0], torch.zeros(2), "not all zero"),
        ([0.0, 0.5, 1.0], "gaussian", "weights is 'gaussian'"),
    ],
)
def test_bad_arguments(grid: list[float], weights: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_interval(torch.tensor(grid), 4, weights=weights)
