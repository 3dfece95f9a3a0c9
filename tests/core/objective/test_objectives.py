from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scif.core import (
    GCT,
    Anchor,
    ChannelCoupling,
    ConsistencyFunction,
    Denoise,
    FlowMatching,
    GrowingSteps,
    Independent,
    InverseConsistency,
    InverseFlowMatching,
    Objective,
    Posterior,
    PosteriorHead,
    SumObjective,
    Velocity,
    draw_interval,
    solve,
)
from scif.core.noise import Gamma, Gaussian, Jacobi, NegativeBinomial, NotSplittable, Poisson
from scif.nn import TimeMLP

NOISE = Gaussian(0.5)
X1 = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))


def net(seed: int = 0, dim: int = 3) -> TimeMLP:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TimeMLP(dim, hidden=16, depth=1, time_dim=4)
        nn.init.normal_(model.outlet.weight, std=0.1)
    return model


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def value(objective: Objective, model: nn.Module, x: Tensor, **options: Any) -> float:
    return float(objective(model, x, generator=rng(), **options).loss.detach())


def test_icm_is_gct_after_transport() -> None:
    model = ConsistencyFunction(net())
    x0 = model(X1, 1.0).detach()
    assert value(InverseConsistency(NOISE), model, X1) == value(GCT(ChannelCoupling(NOISE)), model, x0)


def test_ifm_is_flow_matching_after_transport() -> None:
    model, objective = Velocity(net()), InverseFlowMatching(NOISE, num_steps=7)
    with torch.no_grad():
        x0 = solve(model, X1, grid=objective.grid).x
    plain = FlowMatching(ChannelCoupling(NOISE), num_steps=7, times="uniform", continuous=False)
    assert value(objective, model, X1) == value(plain, model, x0)


def test_a_sum_is_the_weighted_sum_and_weight_zero_is_the_publication() -> None:
    model, icm, anchor = ConsistencyFunction(net()), InverseConsistency(NOISE), Anchor(NOISE)
    total = 2.0 * anchor + icm * 0.5
    generator = rng()
    parts = [float(part(model, X1, generator=generator).loss.detach()) for part in (anchor, icm)]
    out = total(model, X1, generator=rng())
    assert float(out.loss.detach()) == pytest.approx(2.0 * parts[0] + 0.5 * parts[1])
    assert {name: float(term) for name, term in out.terms.items()} == pytest.approx(
        {"anchor": parts[0], "inverse_consistency": parts[1]}
    )
    assert value(0.0 * anchor + icm, model, X1) == value(icm, model, X1)


def test_sums_scale_nest_and_number_equal_names() -> None:
    icm = InverseConsistency(NOISE)
    total = 2.0 * (icm + 3.0 * icm) + Anchor(NOISE)
    assert isinstance(total, SumObjective)
    assert total.weights == {"inverse_consistency": 2.0, "inverse_consistency_2": 6.0, "anchor": 1.0}
    with pytest.raises(ValueError, match="every weight of this sum of objectives is zero"):
        (0.0 * icm + 0.0 * icm)(ConsistencyFunction(net()), X1)


def test_gradients_reach_the_model_and_never_the_teacher() -> None:
    model, teacher = ConsistencyFunction(net(0)), ConsistencyFunction(net(1))
    loss = InverseConsistency(NOISE)(model, X1, teacher=teacher, generator=rng()).loss
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert float(loss.detach()) != value(InverseConsistency(NOISE), model, X1)
    assert value(InverseConsistency(NOISE), model, X1, teacher=model) == value(InverseConsistency(NOISE), model, X1)


def test_the_first_interval_is_supervised_by_the_clean_end() -> None:
    # on one step the target is c(x0, 0) = x0: the loss is the mean squared error of a denoiser
    model = ConsistencyFunction(net())
    pairs = ChannelCoupling(NOISE)(X1, generator=rng())
    expected = (model(pairs.x1, 1.0) - X1).square().mean()
    assert value(GCT(ChannelCoupling(NOISE), num_steps=1), model, X1) == pytest.approx(float(expected.detach()))


def test_resamples_repeat_estimates_and_conditions_together() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    class Recorder(nn.Module):
        def forward(self, x: Tensor, t: Tensor, *, label: Tensor, common: Tensor) -> Tensor:
            seen.append((x, label))
            assert common.shape == (2,)
            return x

    labels = torch.arange(64.0)
    x1 = labels.unsqueeze(1).expand(64, 3) * 1000.0
    InverseConsistency(NOISE, resamples=4)(Recorder(), x1, generator=rng(), label=labels, common=torch.zeros(2))
    transported, predicted = seen[0], seen[1]
    assert transported[0].shape == (64, 3)
    assert predicted[0].shape == (256, 3)
    assert torch.equal((predicted[0][:, 0] / 1000.0).round(), predicted[1])


def test_grids_grow_with_the_optimiser_steps_inside_sums_too() -> None:
    icm = InverseConsistency(NOISE, num_steps=GrowingSteps(start=5, end=20, over=100))
    total = icm + Anchor(NOISE)
    sizes = []
    for step in (0, 50, 100, 1000):
        total.set_step(step)
        sizes.append(len(icm.grid) - 1)
    assert sizes == [5, 10, 20, 20]


def test_estimates_are_brought_into_the_support_before_they_are_renoised() -> None:
    class Stray(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return x - 100.0

    counts = Poisson(1.0).sample(torch.full((16, 3), 4.0), generator=rng())
    for objective in (InverseConsistency(Poisson(1.0)), InverseFlowMatching(Poisson(1.0))):
        with torch.no_grad():
            out = objective(Stray(), counts, generator=rng())
        assert torch.isfinite(out.loss)


@pytest.mark.parametrize("noise", [Poisson(), Gamma(1.0), NegativeBinomial(2.0)], ids=lambda n: type(n).__name__)
def test_the_anchor_leads_positive_predictions_away_from_zero(noise: Any) -> None:
    class Faint(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.level = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.level.expand_as(x)

    model = Faint()
    loss = Anchor(noise)(model, noise.sample(torch.full((64, 3), 4.0), generator=rng()), generator=rng()).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert float(model.level.grad) < 0.0


def test_the_anchor_says_what_to_do_for_channels_that_cannot_be_split() -> None:
    with pytest.raises(NotSplittable, match=r"Jacobi cannot be split .*anchor_weight=0"):
        Anchor(Jacobi())


def test_the_anchor_draws_fractions_from_its_range() -> None:
    seen: list[float] = []

    class Recording(Anchor):
        def predict(self, model: nn.Module, a: Tensor, fraction: float, **condition: Any) -> Tensor:
            seen.append(fraction)
            return super().predict(model, a, fraction, **condition)

    generator = rng()
    for _ in range(50):
        Recording(NOISE, fraction=(0.3, 0.9))(ConsistencyFunction(net()), X1, generator=generator)
    assert 0.3 <= min(seen) < 0.4
    assert 0.8 < max(seen) <= 0.9


@pytest.mark.parametrize("noise", [Gaussian(0.5), Poisson(0.1), Gamma(20.0)], ids=lambda n: type(n).__name__)
def test_the_truth_minimises_the_anchor_among_multiples_of_it(noise: Any) -> None:
    x0 = 2.0 + torch.rand(4000, 3, generator=rng())

    class Multiple(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.factor * x0

    x1 = noise.sample(x0, generator=rng())
    losses = {factor: value(Anchor(noise), Multiple(factor), x1) for factor in (0.9, 1.0, 1.1)}
    assert min(losses, key=losses.__getitem__) == 1.0


def test_heads_train_on_pairs_of_the_frozen_source() -> None:
    source = ConsistencyFunction(net())
    inverse = InverseConsistency(NOISE, resamples=2)
    generator = rng()
    clean = inverse.clean(source, X1, generator=generator)
    renoised = NOISE.sample(clean.x0, generator=generator)
    head = ConsistencyFunction(net(1), skip="mean")
    expected = (head(renoised, 1.0) - clean.x0).square().mean()
    objective = Denoise(inverse, source)
    assert value(objective, head, X1) == pytest.approx(float(expected.detach()))
    nn.init.zeros_(source.net.outlet.weight)  # a copy was taken
    assert value(objective, head, X1) == pytest.approx(float(expected.detach()))


def test_posterior_draws_are_flow_matching_given_the_observation() -> None:
    source = ConsistencyFunction(net(), data_scale=2.0, data_mean=1.0)
    head = PosteriorHead(net(2, 6), source)
    inverse = InverseConsistency(NOISE)
    generator = rng()
    x0 = inverse.clean(source, X1, generator=generator).x0
    observed = NOISE.sample(x0, generator=generator)
    z = 1.0 + 2.0 * torch.randn(x0.shape, generator=generator)
    draw_interval(torch.tensor([0.0, 1.0]), 64, weights="length", generator=generator)
    t = torch.rand(64, generator=generator)
    x_t = (1.0 - t).unsqueeze(1) * x0 + t.unsqueeze(1) * z
    expected = (head(x_t, t, observed=observed) - (z - x0)).square().mean()
    assert value(Posterior(inverse, source), head, X1) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InverseConsistency(NOISE, resamples=0), "resamples is 0"),
        (lambda: InverseConsistency(NOISE, num_steps=0), "num_steps is 0"),
        (lambda: Anchor(NOISE, fraction=1.0), "fraction is 1.0"),
        (lambda: Anchor(NOISE, fraction=(0.9, 0.5)), "give its lower end first"),
        (lambda: InverseFlowMatching(NOISE, prediction="x0", method="heun"), "no velocity at t = 0"),
        (lambda: InverseFlowMatching(NOISE, prediction="noise"), "prediction is 'noise'"),
        (lambda: GCT(Independent(), weight="linear"), "weight is 'linear'"),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_sources_without_scales_are_named() -> None:
    with pytest.raises(TypeError, match="source is a Linear without scales"):
        Posterior(InverseConsistency(NOISE), nn.Linear(3, 3))
