"""Affine paths: exact ends, true velocities, and pairs on one trajectory."""

from __future__ import annotations

import pickle

import pytest
import torch

from scif.core import Affine, Linear, StochasticInterpolant, VarianceExploding, VariancePreserving

PATHS = {
    "linear": Linear(),
    "exploding": VarianceExploding(ratio=50.0),
    "preserving": VariancePreserving(),
    "interpolant": StochasticInterpolant(
        lambda t: (1 - t) ** 2, lambda t: t**3, lambda t: torch.sin(torch.pi * t) ** 2
    ),
    "linear with noise": StochasticInterpolant.linear(gamma=0.5),
    "trigonometric": StochasticInterpolant.trigonometric(gamma=0.5),
}
paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())


def ends(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    x0, x1 = torch.randn(2, 6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x0.to(dtype), x1.to(dtype)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_are_exact(path: Affine, dtype: torch.dtype) -> None:
    x0, x1 = ends(dtype)
    at_0 = path.sample(x0, x1, 0.0, generator=seeded())
    at_1 = path.sample(x0, x1, 1.0, generator=seeded())
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(at_0.x_t, x0, rtol=0, atol=tolerance)
    torch.testing.assert_close(at_1.x_t, x1, rtol=0, atol=tolerance)
    assert at_1.x_t.dtype == at_1.u_t.dtype == at_1.t.dtype == dtype
    assert at_1.t.shape == (6,)


@paths
def test_velocity_is_the_derivative_of_the_point(path: Affine) -> None:
    x0, x1 = ends()
    h = 1e-6
    for t in (0.1, 0.5, 0.85):
        before, after = (path.sample(x0, x1, t + sign * h, generator=seeded()).x_t for sign in (-1, 1))
        u_t = path.sample(x0, x1, t, generator=seeded()).u_t
        torch.testing.assert_close((after - before) / (2 * h), u_t, rtol=1e-6, atol=1e-7)


@paths
def test_pair_lies_on_one_trajectory(path: Affine) -> None:
    """Both points share the latent noise: each equals the sample at its time for the same seed."""
    x0, x1 = ends()
    s = torch.linspace(0.0, 0.6, 6, dtype=torch.float64)
    t = torch.linspace(0.2, 1.0, 6, dtype=torch.float64)
    pair = path.pair(x0, x1, s, t, generator=seeded())
    at_s = path.sample(x0, x1, s, generator=seeded())
    at_t = path.sample(x0, x1, t, generator=seeded())
    for got, wanted in ((pair.x_s, at_s.x_t), (pair.x_t, at_t.x_t), (pair.u_t, at_t.u_t), (pair.s, s), (pair.t, t)):
        torch.testing.assert_close(got, wanted)


def test_straight_line_pairs_are_one_step_of_the_velocity() -> None:
    x0, x1 = ends()
    pair = Linear().pair(x0, x1, 0.3, 0.7)
    torch.testing.assert_close(pair.x_s, pair.x_t - 0.4 * pair.u_t)


def test_latent_noise_has_the_stated_scale() -> None:
    zero = torch.zeros(200_000, 1)
    point = StochasticInterpolant.linear(gamma=2.0).sample(zero, zero, 0.25, generator=seeded())
    # standard error of a standard deviation: sigma / sqrt(2 n)
    assert point.x_t.std().item() == pytest.approx(2.0 * 0.25 * 0.75, rel=4 / (2 * 200_000) ** 0.5)


def test_preserving_path_keeps_the_variance() -> None:
    x0, x1 = torch.randn(2, 200_000, 1, generator=seeded())
    for t in (0.2, 0.5, 0.9):
        assert VariancePreserving().sample(x0, x1, t).x_t.var().item() == pytest.approx(1.0, abs=0.013)


def test_exploding_path_is_the_straight_line_at_another_pace() -> None:
    x0, x1 = ends()
    path = VarianceExploding(ratio=100.0)
    tau = path.coefficients(torch.tensor([0.4], dtype=torch.float64)).beta.item()
    torch.testing.assert_close(path.sample(x0, x1, 0.4).x_t, Linear().sample(x0, x1, tau).x_t)
    # standard deviations of neighbouring noise levels, shifted by one, are in constant ratio
    level = 99.0 * path.coefficients(torch.linspace(0, 1, 5, dtype=torch.float64)).beta + 1.0
    torch.testing.assert_close(level[1:] / level[:-1], torch.full((4,), 100.0**0.25, dtype=torch.float64))


@pytest.mark.parametrize("name", ["linear", "exploding", "preserving", "linear with noise", "trigonometric"])
def test_presets_can_be_saved(name: str) -> None:
    x0, x1 = ends()
    twin = pickle.loads(pickle.dumps(PATHS[name]))
    wanted = PATHS[name].sample(x0, x1, 0.3, generator=seeded())
    assert torch.equal(twin.sample(x0, x1, 0.3, generator=seeded()).x_t, wanted.x_t)


def test_generator_decides_and_global_state_is_untouched() -> None:
    x0, x1 = ends()
    path = PATHS["linear with noise"]
    state = torch.get_rng_state()
    a, b, c = (path.sample(x0, x1, 0.5, generator=seeded(seed)).x_t for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), state)


@paths
def test_bad_arguments(path: Affine) -> None:
    x0, x1 = ends()
    with pytest.raises(ValueError, match="x0 has shape"):
        path.sample(x0, x1[:, :1], 0.5)
    with pytest.raises(ValueError, match=r"t has values in \[-0.1, -0.1\]"):
        path.sample(x0, x1, -0.1)
    with pytest.raises(ValueError, match=r"t has shape \(2,\)"):
        path.sample(x0, x1, torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"s = 0.5 is not below t = 0.5"):
        path.pair(x0, x1, 0.5, 0.5)


def test_bad_schedules() -> None:
    with pytest.raises(ValueError, match="alpha is 0 at t=0 and 1 at t=1; it must be 1 and 0"):
        StochasticInterpolant(lambda t: t, lambda t: t)
    with pytest.raises(ValueError, match="gamma has slopes"):
        StochasticInterpolant(lambda t: 1 - t, lambda t: t, lambda t: (t * (1 - t)).sqrt())
    with pytest.raises(ValueError, match="ratio"):
        VarianceExploding(ratio=1.0)
