"""A channel in other units is the same channel."""

from __future__ import annotations

import pytest
import torch

from scif.core.noise import CorrelatedGaussian, Gamma, Gaussian, Jacobi, NoiseModel, Poisson, PoissonGaussian
from scif.fields.images._units import InUnits

CHANNELS = [
    Gaussian(20.0),
    Gaussian(torch.tensor([5.0, 20.0]).reshape(2, 1, 1)),
    CorrelatedGaussian(torch.ones(3, 3), 20.0),
    Poisson(2.5),
    Gamma(10.0),
    PoissonGaussian(2.0, 6.0),
]


NAMES = ["gaussian", "gaussian by channel", "correlated", "poisson", "gamma", "camera"]


def clean(seed: int = 0) -> torch.Tensor:
    return 20 + 200 * torch.rand(3, 2, 12, 14, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("noise", CHANNELS, ids=NAMES)
def test_draws_and_moments_commute_with_the_units(noise: NoiseModel) -> None:
    x0, units = clean(), InUnits(noise, offset=torch.tensor([90.0, 110.0]).reshape(2, 1, 1), scale=40.0)
    inside = units.to_network(x0)
    seeded = [torch.Generator().manual_seed(3) for _ in range(2)]
    got = units.to_images(units.sample(inside, generator=seeded[0]))
    torch.testing.assert_close(got, noise.sample(x0, generator=seeded[1]), rtol=1e-4, atol=2.6e-4)
    moments, expected = units.moments(inside), noise.moments(x0)
    torch.testing.assert_close(units.to_images(moments.mean), expected.mean)
    torch.testing.assert_close(moments.variance * 40.0**2, expected.variance)


@pytest.mark.parametrize("noise", CHANNELS[:5], ids=NAMES[:5])
def test_parts_add_up_and_have_their_share_of_the_mean(noise: NoiseModel) -> None:
    units = InUnits(noise, offset=100.0, scale=40.0)
    x0 = units.to_network(clean()).repeat(200, 1, 1, 1)
    rng = torch.Generator().manual_seed(0)
    x1 = units.sample(x0, generator=rng)
    parts = units.split(x1, 0.7, generator=rng)
    torch.testing.assert_close(parts.a + parts.b, x1, rtol=1e-4, atol=1e-4)
    variance = units.moments(x0).variance.mean()
    for part, share in ((parts.a, 0.7), (parts.b, 0.3)):
        residual = part - share * x0
        assert float(residual.mean().abs()) < 5 * float((share * variance / 600).sqrt())
        assert float(residual.square().mean()) == pytest.approx(float(share * variance), rel=0.05)
    product = (parts.a - 0.7 * x0) * (parts.b - 0.3 * x0)
    assert abs(float(product.mean())) < 0.02 * float(variance)


def test_estimates_outside_the_support_are_brought_back_before_they_are_renoised() -> None:
    units = InUnits(Jacobi(), offset=0.5, scale=0.25)
    x1 = units.sample(torch.tensor([[-9.0, 0.0, 9.0]]), generator=torch.Generator().manual_seed(0))
    assert bool((units.to_images(x1) >= 0).all()) and bool((units.to_images(x1) <= 1).all())
    with pytest.raises(ValueError, match="scale"):
        InUnits(Gaussian(1.0), offset=0.0, scale=0.0)


@pytest.mark.parametrize("noise", [Gaussian(0.2), Poisson(0.1), Gamma(8.0), Jacobi()], ids=lambda n: type(n).__name__)
def test_polynomials_in_the_units_of_the_network_are_its_moments(noise: NoiseModel) -> None:
    units = InUnits(noise, offset=0.4, scale=0.25)
    x0 = (torch.linspace(0.1, 0.9, 9) - 0.4) / 0.25
    form = units.quadratic_moments(x0)
    assert form is not None
    for found, expected in zip(vars(form.of(x0)).values(), vars(units.moments(x0)).values(), strict=True):
        torch.testing.assert_close(found, expected)
