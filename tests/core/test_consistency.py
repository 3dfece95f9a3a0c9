"""The boundary identity, domain closure and calibration of consistency functions."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from scif.core import ConsistencyFunction, Domain
from scif.nn import TimeMLP

MEMBERS = {
    Domain.REAL: lambda g: 3.0 * torch.randn(64, 4, generator=g, dtype=torch.float64),
    Domain.POSITIVE: lambda g: 50.0 * torch.rand(64, 4, generator=g, dtype=torch.float64) ** 4,
    Domain.UNIT: lambda g: torch.rand(64, 4, generator=g, dtype=torch.float64).mul(1.4).sub(0.2).clamp(0, 1),
    Domain.COUNTS: lambda g: torch.poisson(torch.full((64, 4), 0.7, dtype=torch.float64), generator=g),
}
SCALES = {
    Domain.REAL: {"data_scale": 3.0, "noise_scale": 1.7, "data_mean": 0.3},
    Domain.POSITIVE: {"data_scale": 12.0, "noise_scale": 4.0, "data_mean": 10.0},
    Domain.UNIT: {"data_scale": 0.3, "noise_scale": 0.2, "data_mean": 0.5},
    Domain.COUNTS: {"data_scale": 0.5, "noise_scale": 0.8, "data_mean": 0.7},
}


class Wild(nn.Module):
    """A network with large outputs of both signs that depend on everything."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return 30.0 * torch.sin(7.0 * x + 3.0 * t.unsqueeze(1) + 1.0)


def members(domain: Domain, dtype: torch.dtype = torch.float32) -> Tensor:
    return MEMBERS[domain](torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("domain", list(Domain))
def test_identity_at_time_zero_is_exact(domain: Domain, dtype: torch.dtype) -> None:
    x = members(domain, dtype)
    c = ConsistencyFunction(Wild(), domain=domain, **SCALES[domain])
    assert torch.equal(c(x, 0.0), x)
    assert c(x, 0.5).dtype == dtype
    # also for the samples at time zero of a mixed batch
    t = torch.tensor([0.0, 1.0], dtype=dtype).repeat(32)
    assert torch.equal(c(x, t)[::2], x[::2])
    assert not torch.equal(c(x, t)[1::2], x[1::2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("domain", list(Domain))
def test_values_stay_in_the_domain(domain: Domain, dtype: torch.dtype) -> None:
    clean = Domain.POSITIVE if domain is Domain.COUNTS else domain
    c = ConsistencyFunction(Wild(), domain=domain, **SCALES[domain])
    x = members(domain, dtype)
    for t in (1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0):
        assert clean.contains(c(x, t)), t
        assert clean.contains(c(x - 0.4, t)), "an observation may lie outside"


@pytest.mark.parametrize("domain", list(Domain))
def test_continuous_at_time_zero(domain: Domain) -> None:
    x = members(domain, torch.float64)
    c = ConsistencyFunction(Wild(), domain=domain, **SCALES[domain])
    steps = [(c(x, t) - x).abs().max().item() for t in (1e-1, 1e-3, 1e-5)]
    assert steps[1] < 0.1 * steps[0]
    assert steps[2] < 0.1 * steps[1]


@pytest.mark.parametrize("domain", list(Domain))
def test_every_domain_can_reach_its_members(domain: Domain) -> None:
    """At time 1 the network alone decides: some constant output gives any interior member, whatever the observation."""
    x = members(domain, torch.float64)

    class Constant(nn.Module):
        value = 0.0

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.full_like(x, self.value)

    c = ConsistencyFunction(net := Constant(), domain=domain, **SCALES[domain])
    low, high = [], []
    for net.value, into in ((-60.0, low), (60.0, high)):
        into.append(c(x, 1.0))
    wanted = SCALES[domain]["data_mean"]
    assert bool((low[0] < wanted).all())
    assert bool((high[0] > wanted).all())


@pytest.mark.parametrize("domain", [Domain.POSITIVE, Domain.UNIT, Domain.COUNTS])
def test_untrained_function_shrinks_towards_the_mean_as_on_the_real_line(domain: Domain) -> None:
    x = members(domain, torch.float64)
    net = TimeMLP(4, hidden=8, depth=1).double()
    bounded = ConsistencyFunction(net, domain=domain, **SCALES[domain])(x, 1.0)
    real = ConsistencyFunction(net, **SCALES[domain])(x, 1.0)
    torch.testing.assert_close(bounded, real, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("domain", list(Domain))
def test_gradients_are_finite_and_reach_the_network(domain: Domain) -> None:
    net = TimeMLP(4, hidden=8, depth=1)
    c = ConsistencyFunction(net, domain=domain, **SCALES[domain])
    x = members(domain).requires_grad_()
    t = torch.rand(64, generator=torch.Generator().manual_seed(0))
    c(x, t).square().sum().backward()
    assert bool(torch.isfinite(x.grad).all())
    assert net.outlet.weight.grad.abs().sum() > 0
    assert all(bool(torch.isfinite(p.grad).all()) for p in net.parameters() if p.grad is not None)


def test_condition_reaches_the_network() -> None:
    class Conditional(nn.Module):
        def forward(self, x: Tensor, t: Tensor, *, shift: Tensor) -> Tensor:
            return x * 0.0 + shift

    c = ConsistencyFunction(Conditional())
    x = torch.zeros(2, 1)
    out = c(x, 1.0, shift=torch.tensor([[1.0], [2.0]]))
    torch.testing.assert_close(out[1], 2.0 * out[0])


def test_copies_and_states_round_trip() -> None:
    c = ConsistencyFunction(TimeMLP(4, hidden=8), domain=Domain.UNIT, **SCALES[Domain.UNIT])
    nn.init.normal_(c.net.outlet.weight)
    x = members(Domain.UNIT)
    fresh = ConsistencyFunction(TimeMLP(4, hidden=8), domain=Domain.UNIT)
    fresh.load_state_dict(c.state_dict())
    for twin in (fresh, copy.deepcopy(c)):
        torch.testing.assert_close(twin(x, 0.7), c(x, 0.7), rtol=0, atol=0)


class Narrow(nn.Module):
    """A network that forgets an entry."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return x[:, 1:]


def test_bad_arguments() -> None:
    c = ConsistencyFunction(Wild())
    x = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"t has values in \[1.5, 1.5\]"):
        c(x, 1.5)
    with pytest.raises(ValueError, match=r"t has shape \(2,\)"):
        c(x, torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match="nan"):
        c(x, float("nan"))
    with pytest.raises(ValueError, match="skip is 'edm'"):
        ConsistencyFunction(Wild(), skip="edm")
    with pytest.raises(ValueError, match="data_mean contains 2"):
        ConsistencyFunction(Wild(), domain=Domain.UNIT, data_mean=2.0)
    with pytest.raises(ValueError, match="the network's output has shape"):
        ConsistencyFunction(Narrow())(x, 0.5)
