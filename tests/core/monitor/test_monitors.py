from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from scif.core.monitor import (
    CollapseWarning,
    calibration,
    collapse,
    marginal,
    pit,
    residual,
    sliced_wasserstein,
)
from scif.core.noise import Gamma, Gaussian, Poisson


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def signal(n: int = 4000) -> Tensor:
    """Three directions of variance 4, 1 and 0.5, turned, and two without signal."""
    x = torch.randn(n, 5, generator=rng(1)) * torch.tensor([2.0, 1.0, 0.5**0.5, 0.0, 0.0])
    turn = torch.linalg.qr(torch.randn(5, 5, generator=rng(2))).Q
    return x @ turn.T + 3.0


class TestCollapse:
    def test_the_true_signal_is_healthy_and_only_real_directions_count(self) -> None:
        x0 = signal()
        report = collapse(Gaussian(1.0).sample(x0, generator=rng()), x0, Gaussian(1.0), generator=rng(3))
        assert report.verdict == "healthy"
        assert report.detectable.tolist() == [True, True, True, False, False]
        assert bool(((report.survival[:3] - 1.0).abs() < 3.0 * report.error[:3]).all())
        assert bool(((report.ratio - 1.0).abs() < 0.15).all())

    def test_one_lost_direction_is_found_and_named(self) -> None:
        x0 = signal()
        x1 = Gaussian(1.0).sample(x0, generator=rng())
        axis = torch.linalg.eigh(x0.T.cov()).eigenvectors[:, -2]
        lost = x0 - ((x0 - x0.mean(0)) @ axis).unsqueeze(1) * axis
        report = collapse(x1, lost, Gaussian(1.0), generator=rng(3))
        assert report.verdict == "collapsing"
        assert "1 of 3 principal directions" in report.message
        assert "direction 2 keeps" in report.message
        assert float(report.survival[1]) < 0.1
        with pytest.warns(CollapseWarning, match="this run is collapsing"):
            report.warn()

    def test_survival_is_the_share_of_the_variance(self) -> None:
        x0 = signal(20_000)
        x1 = Gaussian(1.0).sample(x0, generator=rng())
        shrunk = x0.mean(0) + 0.8 * (x0 - x0.mean(0))
        report = collapse(x1, shrunk, Gaussian(1.0), generator=rng(3))
        assert report.survival[:2].tolist() == pytest.approx([0.64, 0.64], abs=0.06)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            report.warn()  # shrinkage is not collapse

    def test_observations_passed_off_as_estimates_are_inflated(self) -> None:
        x1 = Gaussian(1.0).sample(signal() * 0.3, generator=rng())
        report = collapse(x1, x1, Gaussian(1.0), generator=rng(3))
        assert report.verdict == "inflating"
        assert "noise is left" in report.message

    def test_pure_noise_is_undecided_and_not_collapsing(self) -> None:
        # more entries than samples: the leading directions of one half look strong where they were found
        x1 = torch.randn(300, 1000, generator=rng())
        report = collapse(x1, torch.zeros_like(x1), Gaussian(1.0), generator=rng(3))
        assert report.verdict == "undecided"

    @pytest.mark.parametrize("noise", [Poisson(1.0), Gamma(10.0)], ids=lambda n: type(n).__name__)
    def test_signal_dependent_noise_is_accounted_for(self, noise: Poisson | Gamma) -> None:
        x0 = 20.0 + 10.0 * torch.rand(4000, 1, generator=rng()) * torch.ones(4)
        x1 = noise.sample(x0, generator=rng(1))
        assert collapse(x1, x0, noise, generator=rng(3)).verdict == "healthy"
        assert collapse(x1, x0.mean().expand_as(x0), noise, generator=rng(3)).verdict == "collapsing"

    def test_bad_input_is_named(self) -> None:
        with pytest.raises(ValueError, match="x1 has 5 samples"):
            collapse(torch.zeros(5, 2), torch.zeros(5, 2), Gaussian(1.0))
        with pytest.raises(ValueError, match="x0 has shape"):
            collapse(torch.zeros(50, 2), torch.zeros(50, 3), Gaussian(1.0))


class TestMarginal:
    def test_distance_of_a_shift_is_the_shift(self) -> None:
        x = torch.randn(1000, 1, generator=rng())
        assert sliced_wasserstein(x, x + 2.0) == pytest.approx(2.0, rel=1e-5)
        # over random directions the mean square of a shift is its square over the dimension
        y = torch.randn(50, 4, generator=rng())
        shift = torch.tensor([3.0, 0.0, 0.0, 0.0])
        distance = sliced_wasserstein(y, y + shift, num_projections=3000, generator=rng())
        assert distance == pytest.approx(3.0 / 4.0**0.5, rel=0.05)

    def test_it_is_symmetric_and_takes_samples_of_unequal_size(self) -> None:
        a, b = torch.randn(300, 2, generator=rng()), 1.0 + torch.randn(500, 2, generator=rng(1))
        assert sliced_wasserstein(a, b, generator=rng()) == pytest.approx(sliced_wasserstein(b, a, generator=rng()))

    @pytest.mark.trains
    def test_wrong_estimates_differ(self) -> None:
        x0 = signal()
        x1 = Gaussian(1.0).sample(x0, generator=rng())
        assert marginal(x1, x0, Gaussian(1.0), generator=rng(3)).verdict == "matching"
        report = marginal(x1, x0.mean(0).expand_as(x0), Gaussian(1.0), generator=rng(3))
        assert report.verdict == "differing"
        assert report.distance > 2.0 * report.reference

    def test_bad_input_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"samples of a have shape \(2,\), those of b \(3,\)"):
            sliced_wasserstein(torch.zeros(5, 2), torch.zeros(5, 3))


class TestResidual:
    image = torch.nn.functional.interpolate(torch.randn(20, 1, 8, 8, generator=rng(4)), size=(32, 32), mode="bicubic")

    def test_the_truth_leaves_white_noise_of_variance_one(self) -> None:
        x1 = Gaussian(0.5).sample(self.image, generator=rng())
        report = residual(x1, self.image, Gaussian(0.5), spatial=2)
        assert report.verdict == "noise"
        assert (report.mean, report.variance, report.structure) == pytest.approx((0.0, 1.0, 0.0), abs=0.03)

    def test_oversmoothing_shows_as_neighbours_that_agree(self) -> None:
        x1 = Gaussian(0.5).sample(self.image, generator=rng())
        blurred = torch.nn.functional.avg_pool2d(self.image, 9, stride=1, padding=4, count_include_pad=False)
        report = residual(x1, blurred, Gaussian(0.5), spatial=2)
        assert report.verdict == "signal"
        assert report.structure > 0.2
        assert "over-smoothed" in report.message

    def test_common_structure_of_unordered_entries_shows(self) -> None:
        x0 = signal()
        x1 = Gaussian(0.5).sample(x0, generator=rng())
        assert residual(x1, x0, Gaussian(0.5)).verdict == "noise"
        report = residual(x1, x0.mean(0).expand_as(x0), Gaussian(10.0))  # the variance alone looks fine
        assert report.variance < 1.0
        assert report.verdict == "signal"

    def test_a_shift_is_a_bias(self) -> None:
        x1 = Gaussian(1.0).sample(torch.zeros(2000, 3), generator=rng())
        assert residual(x1, torch.full_like(x1, -0.2), Gaussian(1.0)).verdict == "biased"

    def test_entries_without_noise_are_left_out(self) -> None:
        x0 = torch.tensor([0.0, 5.0]).expand(4000, 2)
        report = residual(Poisson(1.0).sample(x0, generator=rng()), x0, Poisson(1.0))
        assert report.variance == pytest.approx(1.0, abs=0.1)


class TestCalibration:
    def test_draws_from_the_right_distribution_are_calibrated(self) -> None:
        mean = torch.rand(3000, generator=rng()) * 5.0
        value = torch.poisson(mean, generator=rng(1))
        draws = torch.poisson(mean.expand(99, -1), generator=rng(2))
        report = calibration(value, draws, generator=rng(3))
        assert report.verdict == "calibrated"
        assert report.coverage == pytest.approx({0.5: 0.5, 0.8: 0.8, 0.9: 0.9, 0.95: 0.95}, abs=0.03)
        assert report.histogram.tolist() == pytest.approx([0.1] * 10, abs=0.025)

    @pytest.mark.parametrize(
        ("scale", "shift", "verdict"), [(0.5, 0.0, "too narrow"), (2.0, 0.0, "too wide"), (1.0, 1.0, "biased")]
    )
    def test_wrong_draws_are_told_apart(self, scale: float, shift: float, verdict: str) -> None:
        value = torch.randn(2000, generator=rng())
        draws = scale * torch.randn(200, 2000, generator=rng(1)) + shift
        report = calibration(value, draws, generator=rng(2))
        assert report.verdict == verdict
        assert "the 90% interval covers" in report.message

    def test_ties_are_spread_evenly(self) -> None:
        u = pit(torch.zeros(20_000), torch.zeros(9, 20_000), generator=rng())
        assert float(u.mean()) == pytest.approx(0.5, abs=0.01)
        assert float(u.var()) == pytest.approx(1.0 / 12.0, rel=0.03)

    def test_bad_input_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"draws have shape \(5,\)"):
            pit(torch.zeros(5), torch.zeros(5))
