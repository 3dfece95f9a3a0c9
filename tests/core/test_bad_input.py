"""Bad data are refused by name wherever they enter: never NaN, never a verdict about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scif.core import (
    GCT,
    Anchor,
    ConsistencyFunction,
    Domain,
    FlowMatching,
    Independent,
    InverseConsistency,
    InverseFlowMatching,
    MinibatchOT,
    PosteriorHead,
    Velocity,
    calibration,
    collapse,
    fit,
    marginal,
    mean,
    residual,
    sample,
    sliced_wasserstein,
    transport,
)
from scif.core.noise import Gaussian, Poisson
from scif.nn import TimeMLP

NOISE = Gaussian(0.2)
GOOD = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))
C, V = ConsistencyFunction(TimeMLP(2, hidden=4, depth=1)), Velocity(TimeMLP(2, hidden=4, depth=1))
HEAD = PosteriorHead(TimeMLP(4, hidden=4, depth=1), C)


def spoilt(value: float) -> Tensor:
    x = GOOD.clone()
    x[7, 1] = value
    return x


ENTRANCES: dict[str, Callable[[Tensor], Any]] = {
    "icm": lambda x: InverseConsistency(NOISE)(C, x),
    "ifm": lambda x: InverseFlowMatching(NOISE)(V, x),
    "anchor": lambda x: Anchor(NOISE)(C, x),
    "gct": lambda x: GCT(Independent())(C, x),
    "flow matching": lambda x: FlowMatching(MinibatchOT())(V, x),
    "coupled noise": lambda x: Independent()(GOOD, x),
    "fit": lambda x: fit(C, InverseConsistency(NOISE), x, max_steps=1, batch_size=40),
    "calibrated": lambda x: ConsistencyFunction.calibrated(TimeMLP(2), x, NOISE),
    "transport": lambda x: transport(C, x),
    "mean": lambda x: mean(C, x),
    "sample": lambda x: sample(HEAD, x),
    "observed of collapse": lambda x: collapse(x, GOOD, NOISE),
    "estimates of collapse": lambda x: collapse(GOOD, x, NOISE),
    "observed of marginal": lambda x: marginal(x, GOOD, NOISE),
    "estimates of marginal": lambda x: marginal(GOOD, x, NOISE),
    "observed of residual": lambda x: residual(x, GOOD, NOISE),
    "estimates of residual": lambda x: residual(GOOD, x, NOISE),
    "value of calibration": lambda x: calibration(x, GOOD.expand(9, -1, -1)),
    "draws of calibration": lambda x: calibration(GOOD, x.expand(9, -1, -1)),
    "distance": lambda x: sliced_wasserstein(GOOD, x),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_values_that_are_not_finite_are_named(entrance: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"contains {value:g} \(\d+ such entries\)|all of them finite"):
        ENTRANCES[entrance](spoilt(value))


@pytest.mark.parametrize(
    "objective",
    [InverseConsistency(Poisson()), InverseFlowMatching(Poisson()), Anchor(Poisson())],
    ids=lambda o: o.name,
)
@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_observations_outside_the_support_are_named(objective: Any, value: float) -> None:
    x1 = GOOD.round()
    x1[3, 0] = value
    model = V if objective.name == "ifm" else ConsistencyFunction(TimeMLP(2, hidden=4, depth=1), domain=Domain.POSITIVE)
    with pytest.raises(ValueError, match=rf"x1 contains {value:g} \(1 such entries\), outside its support: counts"):
        objective(model, x1)


@pytest.mark.parametrize("model", [C, V], ids=["consistency", "velocity"])
def test_whole_numbers_would_cut_times_off(model: nn.Module) -> None:
    with pytest.raises(TypeError, match="x has dtype torch.int64; convert it"):
        model(torch.ones(3, 2, dtype=torch.int64), 0.5)


@pytest.mark.parametrize("objective", [InverseConsistency, InverseFlowMatching, Anchor])
def test_a_channel_is_no_name(objective: Any) -> None:
    with pytest.raises(TypeError, match="noise is 'gaussian'; pass a channel"):
        objective("gaussian")


def test_networks_say_how_many_features_they_take() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\) .* 2 features"):
        C(torch.rand(4, 3), 0.5)
