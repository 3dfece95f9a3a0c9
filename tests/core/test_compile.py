"""Compiled modules say what they say uncompiled."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scif.core import (
    GCT,
    Anchor,
    ConsistencyFunction,
    Domain,
    FlowMatching,
    Independent,
    InverseConsistency,
    Karras,
    Objective,
    PoissonDeviance,
    PseudoHuber,
    StochasticInterpolant,
    Velocity,
)
from scif.core.noise import Gamma, Gaussian
from scif.nn import TimeMLP

OBJECTIVES: dict[str, Objective] = {
    "icm": InverseConsistency(Gaussian(0.5), schedule=Karras(), times="lognormal", resamples=2, distance=PseudoHuber()),
    "gct": GCT(Independent(), path=StochasticInterpolant.linear()),
    "flow matching": FlowMatching(Independent()),
    "anchored": Anchor(Gamma(3.0)) + InverseConsistency(Gamma(3.0), distance=PoissonDeviance()),
}


@pytest.mark.slow
@pytest.mark.parametrize("domain", [Domain.REAL, Domain.POSITIVE, Domain.UNIT])
def test_consistency_function(domain: Domain) -> None:
    torch.manual_seed(0)
    c = ConsistencyFunction(TimeMLP(3, hidden=16, depth=1), domain=domain, data_scale=0.5)
    nn.init.normal_(c.net.outlet.weight)
    x, t = torch.rand(8, 3), torch.rand(8)
    compiled = torch.compile(c, fullgraph=True)
    torch.testing.assert_close(compiled(x, t), c(x, t))
    grads = [torch.autograd.grad(f(x, t).square().sum(), list(c.parameters())) for f in (c, compiled)]
    for eager, other in zip(*grads, strict=True):
        torch.testing.assert_close(other, eager, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_velocity_and_path() -> None:
    """One graph of a training step: a pair on a path with automatic slopes, and the velocity at its upper end."""
    torch.manual_seed(0)
    v = Velocity(TimeMLP(3, hidden=16, depth=1))
    nn.init.normal_(v.net.outlet.weight)
    path = StochasticInterpolant.trigonometric(gamma=0.0)
    x0, x1 = torch.randn(2, 8, 3)
    s, t = 0.5 * torch.rand(8), 0.5 + 0.5 * torch.rand(8)

    def step(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        pair = path.pair(x0, x1, s, t)
        return (v(pair.x_t, pair.t) - pair.u_t).square().mean() + pair.x_s.mean()

    torch.testing.assert_close(torch.compile(step, fullgraph=True)(s, t), step(s, t))


@pytest.mark.trains
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_are_one_graph(name: str) -> None:
    objective, x1 = OBJECTIVES[name], torch.rand(16, 2) + 0.5
    net = TimeMLP(2, hidden=8, depth=1)
    nn.init.normal_(net.outlet.weight)
    domain = Domain.POSITIVE if name == "anchored" else Domain.REAL
    model = Velocity(net) if name == "flow matching" else ConsistencyFunction(net, domain=domain)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return objective(model, x).loss

    torch.compiler.reset()
    losses = []
    for call in (loss, torch.compile(loss, fullgraph=True, backend="eager")):
        torch.manual_seed(0)
        losses.append(call(x1))
    torch.testing.assert_close(losses[0], losses[1])
