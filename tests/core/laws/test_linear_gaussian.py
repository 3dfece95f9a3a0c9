"""Training reproduces the closed forms of the linear-Gaussian case."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scif.core import (
    GCT,
    Anchor,
    ChannelCoupling,
    Denoise,
    InverseConsistency,
    InverseFlowMatching,
    Karras,
    Schedule,
    SumObjective,
    Uniform,
    linear_gaussian_slope,
    linear_gaussian_survival,
)
from scif.core.monitor import Collapse, collapse
from scif.core.noise import Gaussian
from scif.core.objective import Objective

NOISE = Gaussian(1.0)


class LinearModel(nn.Module):
    """``slopes[i] * x`` at the i-th time of a grid, all equal before training; the one at time 0 is not trained."""

    def __init__(self, grid: Tensor, *, start: float) -> None:
        super().__init__()
        self.grid = grid
        self.slopes = nn.Parameter(torch.full(grid.shape, start))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        index = torch.searchsorted(self.grid, t.contiguous() - 1e-6)
        return self.slopes[index].unsqueeze(1) * x


def minimise(
    model: LinearModel, objective: Objective, x1: Tensor, *, steps: int, average: int = 20, seed: int = 0
) -> LinearModel:
    """Take Newton steps on the objective, and end with the average of the last few.

    The loss is quadratic in each slope apart, so that a step minimises it for the targets of the moment; the steps
    carry the boundary along the grid, and the clean estimates from one outer iteration to the next.
    """
    generator = torch.Generator().manual_seed(seed)
    learning = torch.arange(len(model.grid)) > 0
    kept = []
    for _ in range(steps):
        loss = objective(model, x1, generator=generator).loss
        (gradient,) = torch.autograd.grad(loss, model.slopes, create_graph=True)
        (curvature,) = torch.autograd.grad(gradient.sum(), model.slopes)
        with torch.no_grad():
            model.slopes -= torch.where(learning & (curvature > 0), gradient / curvature.clamp_min(1e-12), 0.0)
        kept.append(model.slopes.detach().clone())
    model.slopes.data = torch.stack(kept[-average:]).mean(0)
    return model


def normal(variance: float, n: int = 10_000) -> Tensor:
    """Numbers with mean 0 and exactly this variance, ``(n, 1)``."""
    x = torch.randn(n, 1, generator=torch.Generator().manual_seed(1))
    return variance**0.5 * (x - x.mean()) / x.std(correction=0)


def survival(model: LinearModel, snr: float) -> float:
    """Variance of the clean estimates over that of the signal."""
    return float(model.slopes[-1].detach()) ** 2 * (snr + 1.0) / snr


def trained_icm(schedule: Schedule, num_steps: int, snr: float, *, steps: int = 120) -> LinearModel:
    model = LinearModel(schedule.grid(num_steps), start=1.0)
    return minimise(
        model, InverseConsistency(NOISE, schedule=schedule, num_steps=num_steps), normal(snr + 1.0), steps=steps
    )


@pytest.mark.parametrize("schedule", [Uniform(), Karras()], ids=["uniform", "karras"])
@pytest.mark.parametrize("variance", [10.0, 1.0, 0.3])
def test_gct_reproduces_the_slopes(schedule: Schedule, variance: float) -> None:
    grid = schedule.grid(10)
    objective = GCT(ChannelCoupling(NOISE), schedule=schedule, num_steps=10)
    model = minimise(LinearModel(grid, start=1.0), objective, normal(variance), steps=40)
    slopes = model.slopes.detach()
    for i in range(1, len(grid)):
        # on the grid up to t the noise has standard deviation t
        expected = linear_gaussian_slope(variance / float(grid[i]) ** 2, grid[: i + 1] / grid[i])
        assert float(slopes[i]) == pytest.approx(float(expected), rel=0.02)


@pytest.mark.parametrize(("num_steps", "snr"), [(1, 10.0), (10, 10.0), (10, 3.0), (10, 1.0)])
def test_icm_settles_where_the_theory_says(num_steps: int, snr: float) -> None:
    expected = float(linear_gaussian_survival(snr, Uniform().grid(num_steps)))
    assert survival(trained_icm(Uniform(), num_steps, snr), snr) == pytest.approx(expected, rel=0.02)


@pytest.mark.trains
def test_icm_and_ifm_agree_on_one_grid() -> None:
    snr, schedule = 1.0, Karras()
    grid = schedule.grid(10)
    consistency = trained_icm(schedule, 10, snr)
    objective = InverseFlowMatching(NOISE, schedule=schedule, num_steps=10)
    velocity = minimise(LinearModel(grid, start=0.0), objective, normal(snr + 1.0), steps=120)
    euler = float((1.0 - grid.diff() * velocity.slopes[1:].detach()).prod())
    assert euler == pytest.approx(float(consistency.slopes[-1].detach()), rel=0.02)
    assert euler == pytest.approx(float(linear_gaussian_survival(snr, grid) * snr / (snr + 1.0)) ** 0.5, rel=0.02)


def test_ifm_from_predictions_of_the_clean_end_agrees_with_ifm() -> None:
    snr, grid = 3.0, Uniform().grid(5)
    ends = []
    for prediction, start in (("velocity", 0.0), ("x0", 1.0)):
        objective = InverseFlowMatching(NOISE, num_steps=5, prediction=prediction)
        model = minimise(LinearModel(grid, start=start), objective, normal(snr + 1.0), steps=80)
        with torch.no_grad():
            ends.append(float(objective.transport(model, torch.ones(1, 1))))
    assert ends[0] == pytest.approx(ends[1], rel=0.02)


def judged(model: LinearModel, snr: float) -> Collapse:
    x1 = normal(snr + 1.0)
    with torch.no_grad():
        x0 = model(x1, torch.ones(len(x1)))
    return collapse(x1, x0, NOISE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("snr", [2.0, 1.0, 0.3])
def test_one_step_collapses_below_snr_3_and_the_monitor_says_so(snr: float) -> None:
    model = trained_icm(Uniform(), 1, snr)
    assert survival(model, snr) < 0.01
    report = judged(model, snr)
    assert report.verdict == "collapsing"
    assert "this run is collapsing: 1 of 1 principal directions" in report.message
    assert "anchor" in report.message


def test_many_steps_keep_the_signal_and_the_monitor_is_content() -> None:
    report = judged(trained_icm(Uniform(), 40, 1.0, steps=150), 1.0)
    assert report.verdict == "healthy"
    assert float(report.survival) == pytest.approx(float(linear_gaussian_survival(1.0, Uniform().grid(40))), abs=0.05)


@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_the_anchor_alone_is_the_conditional_mean_given_a_part(fraction: float) -> None:
    snr = 0.3
    model = LinearModel(Uniform().grid(1), start=1.0)
    minimise(model, Anchor(NOISE, fraction=fraction), normal(snr + 1.0, 100_000), steps=50, average=50)
    assert float(model.slopes[-1].detach()) == pytest.approx(snr / (snr + 1.0 / fraction), rel=0.02)


@pytest.mark.trains
def test_with_the_anchor_what_the_posterior_mean_has_survives_at_snr_0_3() -> None:
    snr, grid = 0.3, Uniform().grid(3)
    x1 = normal(snr + 1.0)
    icm = InverseConsistency(NOISE, num_steps=3)

    def remaining(objective: SumObjective) -> float:
        return survival(minimise(LinearModel(grid, start=1.0), objective, x1, steps=150), snr)

    anchor = Anchor(NOISE, fraction=0.9)
    assert remaining(anchor * 0.0 + icm) < 0.01
    # the posterior mean has a share snr / (snr + 1) = 0.23 of the variance, given 0.9 of the observation 0.21
    kept = remaining(anchor * 100.0 + icm * 1.0)
    assert 0.1 < kept < 0.25


@pytest.mark.trains
def test_with_a_light_anchor_and_many_steps_most_of_the_signal_survives_at_snr_0_3() -> None:
    snr, schedule = 0.3, Karras()
    objective = 0.1 * Anchor(NOISE, fraction=0.9) + InverseConsistency(NOISE, schedule=schedule, num_steps=40)
    model = minimise(LinearModel(schedule.grid(40), start=1.0), objective, normal(snr + 1.0), steps=200)
    alone = float(linear_gaussian_survival(snr, schedule.grid(40)))
    assert 0.7 < survival(model, snr) < alone
    assert judged(model, snr).verdict == "healthy"


def test_the_head_is_the_posterior_mean_under_the_trained_prior() -> None:
    snr = 1.0
    trained = trained_icm(Uniform(), 40, snr, steps=150)
    prior = survival(trained, snr) * snr
    head = LinearModel(Uniform().grid(1), start=1.0)
    minimise(head, Denoise(InverseConsistency(NOISE), trained), normal(snr + 1.0), steps=20)
    assert float(head.slopes[-1].detach()) == pytest.approx(prior / (prior + 1.0), rel=0.02)
