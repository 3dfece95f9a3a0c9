"""The anchor of noise that cannot be parted: where its minimum is, and the skewness it takes from the images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scif.core.noise import Gaussian, Jacobi, NoiseModel, Poisson, PoissonGaussian, SteinKernel
from scif.fields.images._risk import UnbiasedRisk
from scif.fields.images._skewness import around, skewness_ratio
from scif.fields.images._stein import SteinRisk
from scif.fields.images._units import InUnits


class PosteriorMean(nn.Module):
    """The mean of the clean signal at every height of what the network sees, and a little of another function."""

    def __init__(self, seen: Tensor, x0: Tensor, other: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        order = seen.flatten().argsort()
        groups = [x.flatten()[order].view(400, -1).mean(1).numpy() for x in (seen, x0)]
        self.heights, self.means = groups
        self.other, self.share = other, torch.zeros((), requires_grad=True)

    def forward(self, x: Tensor, t: float | Tensor) -> Tensor:
        mean = np.interp(x.detach().numpy(), self.heights, self.means).astype(np.float32)
        return torch.from_numpy(mean) + self.share * self.other(x)


@pytest.mark.trains
@pytest.mark.parametrize(
    "noise",
    [Gaussian(0.2), Poisson(0.05), PoissonGaussian(0.05, 0.05), Jacobi(), Jacobi(1.0, 2.0)],
    ids=["Gaussian", "Poisson", "PoissonGaussian", "Jacobi", "slanted Jacobi"],
)
@pytest.mark.parametrize(
    "other",
    [lambda x: torch.tanh(2 * x), lambda x: (x - 1).relu(), lambda x: (-0.5 - x).relu()],
    ids=["s", "bright", "dark"],
)
def test_posterior_mean_is_its_minimum(noise: NoiseModel, other: Callable[[Tensor], Tensor]) -> None:
    """No direction leads down from it, near black; the pull of the noise, without the kernel, is the yardstick."""
    rng = torch.Generator().manual_seed(0)
    units = InUnits(noise, offset=0.25, scale=0.2)
    x0 = units.to_network(0.05 + 0.3 * torch.rand(1000, 1, 32, 32, generator=rng))
    x1 = units.sample(x0, generator=rng)
    objective = SteinRisk(units, SteinKernel.measured(units, x0))
    s = (units.moments(around(objective.kernel.invert(x1), 1, 2)).variance / 9).sqrt()
    seen = x1 + s * torch.randn(x1.shape, generator=rng)
    model = PosteriorMean(seen, x0, other)
    pull = float(2 * ((objective.kernel.invert(x1) - x0) * other(seen)).mean())
    (gradient,) = torch.autograd.grad(objective(model, x1, generator=rng).loss, model.share)
    assert abs(float(gradient)) < 0.05 * abs(pull)


def test_gaussian_noise_has_the_risk_of_mirrored_parts() -> None:
    """Where there is a split, too, both estimates have one expectation."""
    noise = InUnits(Gaussian(0.1), offset=0.0, scale=1.0)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    x0 = (0.5 + 0.3 * torch.sin(x / 2) * torch.cos(y / 3)).expand(64, 1, 24, 24)
    x1 = noise.sample(x0, generator=torch.Generator().manual_seed(0))

    def model(x: Tensor, t: Tensor) -> Tensor:
        return 0.5 * nn.functional.avg_pool2d(x, 3, stride=1, padding=1) + 0.5 * torch.tanh(x)

    parted, by_stein = (
        torch.stack([objective(model, x1, generator=torch.Generator().manual_seed(k)).loss for k in range(20)])
        for objective in (UnbiasedRisk(noise, mirrored=True), SteinRisk(noise, SteinKernel.measured(noise, x0)))
    )
    assert float(by_stein.mean()) == pytest.approx(float(parted.mean()), rel=0.05)


def test_unlit_images_have_a_finite_risk() -> None:
    """Shot noise of nothing has no variance."""
    noise = InUnits(Poisson(0.5), offset=0.0, scale=1.0)
    x1 = torch.zeros(4, 1, 8, 8)
    objective = SteinRisk(noise, SteinKernel.measured(noise, torch.rand(64, 1, 8, 8)))
    assert objective(lambda x, t: 0.5 * x, x1).loss.isfinite()


def test_surroundings_leave_the_pixel_out() -> None:
    u = torch.zeros(1, 2, 9, 9)
    u[0, 1, 4, 4] = 24.0
    mean = around(u, 1, 2)
    assert mean[0, 1, 4, 4] == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(mean[0, 1, 4, 2:4], torch.ones(2))
    assert mean[0, 0].abs().max() == 0
    torch.testing.assert_close(around(torch.ones(2, 1, 3, 8, 8), 2, 2), torch.ones(2, 1, 3, 4, 4))


def test_skewness_is_that_of_the_camera_at_hand() -> None:
    """Electron multiplication: gamma noise behind shot noise, of twice the variance and three halves the skewness."""
    rng = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    x0 = (2 + 1.5 * torch.sin(x / 5) * torch.cos(y / 6)).expand(64, 1, 48, 48)
    plain = torch.poisson(x0, generator=rng)
    electrons = torch.poisson(2 * x0, generator=rng)
    multiplied = torch._standard_gamma(electrons.clamp_min(1e-3), generator=rng) / 2
    noise = InUnits(PoissonGaussian(1.0, 0.01), offset=0.0, scale=1.0)
    kernel = SteinKernel.measured(noise, x0)
    assert skewness_ratio(noise, kernel, plain) == pytest.approx(1, abs=0.1)
    assert skewness_ratio(noise, kernel, multiplied) == pytest.approx(1.5, rel=0.15)
    gaussian = InUnits(Gaussian(0.5), offset=0.0, scale=1.0)
    symmetric = gaussian.sample(x0, generator=rng)
    assert skewness_ratio(gaussian, SteinKernel.measured(gaussian, x0), symmetric) == 1


@pytest.mark.parametrize("square", [-0.01, 0.01], ids=["falling", "rising"])
@pytest.mark.parametrize("share", [-1e3, -10.0, 10.0, 1e3])
def test_estimates_far_off_are_drawn_back(share: float, square: float) -> None:
    """A kernel that followed any estimate would drive wild ones further: training on micrographs once ran away so."""
    rng = torch.Generator().manual_seed(0)
    units = InUnits(PoissonGaussian(0.05, 0.05), offset=0.25, scale=0.2)
    x0 = units.to_network(0.05 + 0.3 * torch.rand(100, 1, 32, 32, generator=rng))
    x1 = units.sample(x0, generator=rng)
    kernel = SteinKernel.measured(units, x0)
    kernel.coefficients[5] = square  # of the estimate's square, which is measured with an error
    slope = torch.tensor(share, requires_grad=True)
    SteinRisk(units, kernel)(lambda x, t: slope * x, x1, generator=rng).loss.backward()
    assert float(slope.grad) == pytest.approx(2 * share * float(x1.square().mean()), rel=0.5)
