from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scif.core import (
    Anchor,
    ConsistencyFunction,
    Denoise,
    InverseConsistency,
    Posterior,
    PosteriorHead,
    Velocity,
    fit,
    mean,
    sample,
    transport,
)
from scif.core.monitor import calibration
from scif.core.noise import CorrelatedGaussian, Gaussian, Poisson
from scif.nn import TimeMLP

NOISE = Gaussian(1.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def untrained(variance: float, **options: str) -> ConsistencyFunction:
    """The exact consistency function (or posterior mean) of normal data with unit noise."""
    return ConsistencyFunction(TimeMLP(1, hidden=4, depth=1), data_scale=variance**0.5, **options)  # type: ignore[arg-type]


class TestTransport:
    x1 = torch.linspace(-3.0, 3.0, 7).unsqueeze(1)

    def test_one_step_is_one_call(self) -> None:
        estimate = transport(untrained(2.0), self.x1)
        torch.testing.assert_close(estimate.value, (2.0 / 3.0) ** 0.5 * self.x1)
        assert estimate.kind == "transport"
        assert estimate.std is None

    def test_velocities_and_predictions_of_x0_go_to_the_same_place(self) -> None:
        velocity = Velocity(TimeMLP(1, hidden=4, depth=1), data_scale=2.0**0.5)
        by_velocity = transport(velocity, self.x1, num_steps=200).value
        by_x0 = transport(untrained(2.0, skip="mean"), self.x1, prediction="x0", num_steps=200).value
        torch.testing.assert_close(by_velocity, by_x0, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(by_velocity, (2.0 / 3.0) ** 0.5 * self.x1, rtol=1e-2, atol=1e-2)

    def test_further_steps_keep_the_distribution_and_forget_the_noise(self) -> None:
        x0 = 2.0**0.5 * torch.randn(40_000, 1, generator=rng())
        x1 = NOISE.sample(x0, generator=rng(1))
        values = [transport(untrained(2.0), x1, num_steps=n, noise=NOISE, generator=rng(2)).value for n in (1, 4)]
        for value in values:
            assert float(value.var()) == pytest.approx(2.0, rel=0.03)
        kept = [float(torch.corrcoef(torch.cat([v, x1], 1).T)[0, 1]) for v in values]
        assert kept[0] == pytest.approx(1.0, abs=1e-4)
        assert kept[1] < 0.9

    def test_the_result_is_inside_the_support(self) -> None:
        estimate = transport(untrained(2.0), torch.tensor([[-1.0], [2.0]]), noise=Poisson(1.0))
        assert estimate.value.flatten().tolist() == pytest.approx([0.0, 2.0 * (2.0 / 3.0) ** 0.5])

    def test_further_steps_without_a_channel_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="noise is not given"):
            transport(untrained(1.0), self.x1, num_steps=2)


class TestMean:
    def test_it_is_the_least_squares_estimate_and_transport_is_not(self) -> None:
        x0 = torch.randn(20_000, 1, generator=rng())
        x1 = NOISE.sample(x0, generator=rng(1))
        errors = {
            estimate.kind: float((estimate.value - x0).square().mean())
            for estimate in (mean(untrained(1.0, skip="mean"), x1), transport(untrained(1.0), x1))
        }
        assert errors["mean"] == pytest.approx(0.5, rel=0.03)
        assert errors["transport"] == pytest.approx(2.0 - 2.0**0.5, rel=0.03)

    def test_more_splits_are_better_for_a_head_that_saw_parts(self) -> None:
        fraction = 0.5

        class Anchored(nn.Module):
            def forward(self, x: Tensor, t: Tensor) -> Tensor:
                return x / (1.0 + 1.0 / fraction)  # the posterior mean given a part

        x0 = torch.randn(20_000, 1, generator=rng())
        x1 = NOISE.sample(x0, generator=rng(1))
        errors = [
            float((mean(Anchored(), x1, noise=NOISE, num_splits=n, fraction=fraction, generator=rng(2)).value - x0)
                  .square().mean())
            for n in (1, 16)
        ]  # fmt: skip
        assert errors[0] == pytest.approx(2.0 / 3.0, rel=0.03)
        # averaging takes the noise of splitting away: variance 1/9 of the error goes down to 1/16 of that
        assert errors[1] == pytest.approx(2.0 / 3.0 - 15.0 / 16.0 / 9.0, rel=0.03)

    def test_slopes_are_the_posterior_standard_deviation_of_normal_data(self) -> None:
        scale = torch.tensor([0.5, 2.0])
        head = ConsistencyFunction(TimeMLP(2, hidden=4, depth=1), data_scale=scale, noise_scale=1.0, skip="mean")
        estimate = mean(head, torch.randn(5, 2, generator=rng()), noise=NOISE, num_probes=2, generator=rng())
        assert estimate.std is not None
        torch.testing.assert_close(estimate.std, (scale**2 / (scale**2 + 1.0)).sqrt().expand(5, 2))
        for noise in (Poisson(1.0), CorrelatedGaussian(torch.ones(2), 1.0)):  # slopes of other entries count there, too
            with pytest.raises(TypeError, match=r"noise is .* use sample\(\) instead"):
                mean(head, torch.ones(5, 2), noise=noise, num_probes=2)

    def test_splits_without_a_channel_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="num_splits is 3 and noise None"):
            mean(untrained(1.0), torch.zeros(2, 1), num_splits=3)

    @pytest.mark.trains
    def test_a_trained_head_keeps_what_the_anchor_tells(self) -> None:
        # the source has collapsed: its pairs say "always zero", the real observations disagree
        class Collapsed(nn.Module):
            def forward(self, x: Tensor, t: Tensor) -> Tensor:
                return torch.where(t.unsqueeze(1) > 0, 0.0 * x, x)

        class Slope(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.slope = nn.Parameter(torch.zeros(()))

            def forward(self, x: Tensor, t: Tensor) -> Tensor:
                return self.slope * x

        x1 = 2.0**0.5 * torch.randn(2000, 1, generator=rng())
        pairs = Denoise(InverseConsistency(NOISE), Collapsed())
        slopes = []
        for anchor_weight in (0.0, 20.0):
            objective = anchor_weight * Anchor(NOISE, fraction=0.8) + pairs
            head = fit(Slope(), objective, x1, max_steps=150, batch_size=1000, lr=0.02, ema_decay=0.9)
            slopes.append(float(mean(head, torch.ones(1, 1)).value))
        assert slopes[0] == pytest.approx(0.0, abs=0.02)
        assert slopes[1] > 0.25


class TestSample:
    @pytest.mark.trains
    def test_draws_are_the_posterior_of_normal_data(self) -> None:
        source = untrained(1.0)
        x1 = 2.0**0.5 * torch.randn(20_000, 1, generator=rng())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            head = PosteriorHead(TimeMLP(2, hidden=16, depth=1), source)
        objective = Posterior(InverseConsistency(NOISE), source)
        head = fit(head, objective, x1, max_steps=300, batch_size=512, lr=1e-2, ema_decay=0.98, warmup_steps=20)
        observed = torch.tensor([[-1.5], [0.0], [1.5]])
        estimate = sample(head, observed, num_draws=1000, num_steps=8, generator=rng(3))
        assert estimate.kind == "sample"
        assert estimate.std is not None
        assert estimate.value.mean(0).flatten().tolist() == pytest.approx([-0.75, 0.0, 0.75], abs=0.1)
        assert estimate.std.flatten().tolist() == pytest.approx([0.5**0.5] * 3, rel=0.1)
        x0 = torch.randn(600, 1, generator=rng(4))
        x1 = NOISE.sample(x0, generator=rng(5))
        draws = sample(head, x1, num_draws=19, num_steps=8, generator=rng(6)).value
        assert calibration(x0, draws, generator=rng(7)).verdict == "calibrated"

    def test_one_draw_has_no_spread(self) -> None:
        head = PosteriorHead(TimeMLP(2, hidden=4, depth=1), untrained(1.0))
        with pytest.raises(ValueError, match="num_draws is 1"):
            sample(head, torch.zeros(2, 1), num_draws=1)
