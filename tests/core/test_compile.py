"""Compiled modules say what they say uncompiled."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scif.core import ConsistencyFunction, Domain, StochasticInterpolant, Velocity
from scif.nn import TimeMLP


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
