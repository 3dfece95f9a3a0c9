"""Scales come back from observations alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scif.core import Domain, Scaling
from scif.core.noise import Moments, NoiseModel


class Additive(NoiseModel):
    """Gaussian noise of standard deviation 0.5, and if biased a gain and an offset."""

    def __init__(self, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.gain, self.offset = gain, offset
        self.unbiased = gain == 1.0 and offset == 0.0  # type: ignore[misc]

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.gain * x0 + self.offset + 0.5 * torch.randn(x0.shape, generator=generator)

    def moments(self, x0: Tensor) -> Moments:
        return Moments(self.gain * x0 + self.offset, torch.full_like(x0, 0.25))


class Counting(NoiseModel):
    """Poisson counts."""

    support_x0, support_x1 = Domain.POSITIVE, Domain.COUNTS

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.poisson(x0, generator=generator)

    def moments(self, x0: Tensor) -> Moments:
        return Moments(x0, x0)


@pytest.mark.parametrize("noise", [Additive(), Additive(gain=0.8, offset=0.1)])
def test_calibration_recovers_additive_scales(noise: NoiseModel) -> None:
    generator = torch.Generator().manual_seed(0)
    x0 = 2.0 + 1.5 * torch.randn(20_000, 2, generator=generator)
    scaling = Scaling.calibrated(noise.sample(x0, generator=generator), noise)
    assert scaling.data_mean.item() == pytest.approx(2.0, abs=0.05)
    assert scaling.data_scale.item() == pytest.approx(1.5, rel=0.02)
    assert scaling.noise_scale.item() == pytest.approx(0.5)


def test_calibration_per_feature_on_counts() -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([20.0, 200.0])
    x0 = scales * (1.0 + torch.rand(20_000, 2, generator=generator))
    scaling = Scaling.calibrated(Counting().sample(x0, generator=generator), Counting(), per_feature=True)
    torch.testing.assert_close(scaling.data_mean, x0.mean(0), rtol=0.02, atol=0)
    torch.testing.assert_close(scaling.noise_scale, x0.mean(0).sqrt(), rtol=0.02, atol=0)
    torch.testing.assert_close(scaling.data_scale, x0.std(0), rtol=0.05, atol=0)


def test_per_feature_scales_broadcast_over_images() -> None:
    generator = torch.Generator().manual_seed(0)
    x1 = torch.randn(50, 3, 8, 8, generator=generator) * torch.tensor([1.0, 2.0, 4.0]).reshape(3, 1, 1)
    scaling = Scaling.calibrated(x1, Additive(), per_feature=True)
    assert scaling.data_scale.shape == (3, 1, 1)
    spread = scaling.normalize(x1, torch.ones(50)).std((0, 2, 3))
    torch.testing.assert_close(spread, torch.ones(3), rtol=0.01, atol=0)


def test_observations_at_time_one_are_normalised() -> None:
    x1 = 5.0 + 2.0 * torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    normal = Scaling.calibrated(x1, Additive()).normalize(x1, torch.ones(4000))
    assert normal.mean().abs() < 1e-5
    assert normal.std().item() == pytest.approx(1.0, abs=1e-3)


def test_noise_that_explains_everything_warns() -> None:
    x1 = 0.5 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="scale of the signal is taken as a tenth"):
        scaling = Scaling.calibrated(x1, Additive())
    assert scaling.data_scale.item() == pytest.approx(0.05, rel=0.05)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least two observations"):
        Scaling.calibrated(torch.tensor([[1.0], [float("nan")]]), Additive())
    with pytest.raises(ValueError, match="variance of x1"):
        Scaling.calibrated(torch.ones(5, 2), Additive())
    with pytest.raises(ValueError, match="data_scale is 0"):
        Scaling(data_scale=0.0)
