"""Stein's identity with kernels measured on draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scif.core.noise import Gamma, Gaussian, Jacobi, NoiseModel, Poisson, PoissonGaussian, SteinKernel

CHANNELS = {
    "Gaussian": Gaussian(0.2),
    "Gamma": Gamma(10.0),
    "Jacobi": Jacobi(),
    "slanted Jacobi": Jacobi(1.0, 2.0),
    "Poisson": Poisson(0.05),
    "PoissonGaussian": PoissonGaussian(0.05, 0.05, offset=0.3),
    "chain": Gaussian(0.05) @ Jacobi(),
}


def clean(n: int = 500_000, seed: int = 10) -> Tensor:
    return torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))


@pytest.mark.trains
@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: torch.tanh(4 * x - 2), lambda x: 4 / torch.cosh(4 * x - 2).square()),
        (lambda x: torch.sin(5 * x), lambda x: 5 * torch.cos(5 * x)),
        (lambda x: (x - 0.3).relu(), lambda x: (x > 0.3).to(x.dtype)),
    ],
    ids=["tanh", "sin", "edge"],
)
def test_noise_becomes_a_derivative(name: str, function: Callable, slope: Callable) -> None:
    """For functions that are no polynomials, on signals and draws other than those of the measurement."""
    noise, x0 = CHANNELS[name], clean(seed=11)
    kernel = SteinKernel.measured(noise, clean())
    x1 = noise.sample(x0, generator=torch.Generator().manual_seed(2))
    with_noise, with_slope = (kernel.invert(x1) - x0) * function(x1), kernel(x1, x0) * slope(x1)
    assert float(with_noise.mean()) == pytest.approx(float(with_slope.mean()), rel=0.04, abs=6e-4)


@pytest.mark.parametrize(
    ("noise", "known"),
    [
        (Gaussian(0.2), lambda x1, x0: torch.full_like(x0, 0.04)),
        (Gamma(10.0), lambda x1, x0: x0 * x1 / 10),
        (Poisson(0.02), lambda x1, x0: 0.02 * (x0 + x1) / 2),
    ],
    ids=["Gaussian", "Gamma", "Poisson, nearly"],
)
def test_kernels_known_in_closed_form(noise: NoiseModel, known: Callable) -> None:
    x0 = clean(10_000, seed=12)
    x1 = noise.sample(x0, generator=torch.Generator().manual_seed(13))
    wanted = known(x1, x0)
    error = (SteinKernel.measured(noise, clean())(x1, x0) - wanted).square().mean().sqrt()
    assert error < 0.04 * wanted.square().mean().sqrt()


@pytest.mark.trains
@pytest.mark.parametrize("name", CHANNELS)
def test_its_mean_is_the_covariance_of_noise_and_observation(name: str) -> None:
    noise, x0 = CHANNELS[name], torch.tensor([[0.2], [0.5], [0.9]])
    kernel = SteinKernel.measured(noise, clean())
    many = x0.repeat_interleave(100_000, 0)
    found = kernel(noise.sample(many, generator=torch.Generator().manual_seed(4)), many).view(3, -1).mean(1)
    torch.testing.assert_close(found[:, None], noise.moments(x0).variance / kernel.slope, rtol=0.03, atol=2e-4)


def test_mean_is_inverted() -> None:
    x0 = clean(8)
    kernel = SteinKernel.measured(Jacobi(), clean())
    torch.testing.assert_close(kernel.invert(Jacobi().moments(x0).mean), x0)


def test_features_have_kernels_of_their_own() -> None:
    gains = torch.tensor([0.02, 0.1])
    x0 = torch.rand(2000, 2, 8, 8, generator=torch.Generator().manual_seed(10))
    both = SteinKernel.measured(PoissonGaussian(gains.view(2, 1, 1), 0.01), x0)
    half = torch.full((1, 2, 1, 1), 0.5)
    torch.testing.assert_close(both(half, half).flatten(), gains / 2 + 1e-4, rtol=0.03, atol=0)


def test_signals_of_one_value_and_equal_seeds() -> None:
    x0 = torch.full((100, 1), 4.0)
    kernel = SteinKernel.measured(Poisson(0.5), x0)
    torch.testing.assert_close(kernel(x0, x0), 0.5 * x0, rtol=0.05, atol=0)
    assert torch.equal(kernel.coefficients, SteinKernel.measured(Poisson(0.5), x0).coefficients)
