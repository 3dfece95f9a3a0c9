"""Chains of channels, simulators and names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scif.core.domain import Domain
from scif.core.noise import (
    NOISE_CHANNELS,
    Binomial,
    Compose,
    Gamma,
    Gaussian,
    Multinomial,
    NegativeBinomial,
    NoDensity,
    Poisson,
    Simulator,
    noise_channel,
)


def test_a_chain_does_one_after_the_other():
    first, second, third = Gamma(4.0), Poisson(0.5), Gaussian(0.3)
    x0 = torch.rand(50, 4) * 9
    chain = third @ second @ first
    generator, step_by_step = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    expected = first.sample(x0, generator=step_by_step)
    expected = third.sample(second.sample(expected, generator=step_by_step), generator=step_by_step)
    assert torch.equal(chain.sample(x0, generator=generator), expected)
    assert [type(channel) for channel in chain.chain] == [Gamma, Poisson, Gaussian]


def test_chains_may_be_built_from_either_end():
    a, b, c = Gaussian(0.1), Poisson(), Gamma(2.0)
    assert [*((a @ b) @ c).channels] == [*(a @ (b @ c)).channels]


def test_gaussian_after_gaussian_is_one_gaussian(generator):
    chain, one = Gaussian(0.6) @ Gaussian(0.8) @ Gaussian(0.5), Gaussian(1.25**0.5)
    x0, x1 = torch.randn(2, 3, 4, generator=generator)
    torch.testing.assert_close(chain.log_prob(x1, x0), one.log_prob(x1, x0))
    torch.testing.assert_close(chain.part_log_prob(x1, x0, 0.3), one.part_log_prob(x1, x0, 0.3))


@pytest.mark.parametrize("counts", [Poisson(), NegativeBinomial(2.0)])
def test_capture_after_counts_is_the_same_family_at_a_lower_mean(counts):
    x0, x1 = torch.tensor([[0.0, 2.0, 7.0]]), torch.tensor([[0.0, 3.0, 2.0]])
    chain = Binomial(0.4) @ counts
    torch.testing.assert_close(chain.log_prob(x1, x0), counts.log_prob(x1, 0.4 * x0))
    assert chain.splittable


def test_a_channel_after_a_simulator_is_that_channel_at_its_output(generator):
    def solve(x):
        return x.exp() + 1

    chain = Poisson(0.5) @ Simulator(solve, support_x1=Domain.POSITIVE)
    x0 = torch.randn(3, 2, generator=generator)
    x1 = chain.sample(x0, generator=generator)
    torch.testing.assert_close(chain.log_prob(x1, x0), Poisson(0.5).log_prob(x1, solve(x0)))
    torch.testing.assert_close(chain.moments(x0).variance, 0.5 * solve(x0))


@pytest.mark.parametrize("chain", [Gaussian(0.3) @ Poisson(), Simulator(torch.sin) @ Gaussian(1.0)])
def test_chains_without_a_closed_form_have_no_density(chain):
    with pytest.raises(NoDensity, match=" @ "):
        chain.log_prob(torch.ones(1, 2), torch.ones(1, 2))


@pytest.mark.trains
def test_moments_without_a_closed_form_are_estimated():
    x0 = torch.tensor([[1.0, 2.0, 3.0]])
    chain = Compose(Multinomial(60), Gamma(200.0), moment_draws=1000)
    moments = chain.moments(x0)
    torch.testing.assert_close(moments.mean, 10 * x0, rtol=0.06, atol=0)
    assert torch.equal(moments.mean, chain.moments(x0).mean)


@pytest.mark.parametrize("second", [Poisson(), Gamma(3.0), Binomial(0.5)])
def test_ends_that_do_not_meet_are_refused(second):
    with pytest.raises(ValueError, match=f"{type(second).__name__} takes .* input, but Gaussian gives real output"):
        second @ Gaussian(1.0)


def test_a_chain_is_unbiased_only_if_all_of_it_is():
    assert (Gaussian(1.0) @ Poisson()).unbiased
    assert not (Binomial(0.5) @ Poisson()).unbiased


class _Blur(nn.Module):
    def forward(self, x, *, generator=None):
        return x + torch.randn(x.shape, generator=generator)


def test_a_simulator_is_random_if_it_takes_a_generator():
    assert not Simulator(_Blur()).deterministic
    assert Simulator(nn.Identity()).deterministic
    assert Simulator(torch.sin).deterministic
    chain = Simulator(torch.sin) @ Simulator(torch.cos)
    x0 = torch.randn(2, 3)
    torch.testing.assert_close(chain.sample(x0), x0.cos().sin())
    assert chain.moments(x0).variance.count_nonzero() == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [(lambda x: x[:, :1], "the simulator's output has shape"), (lambda x: x / 0 * 0, "output contains nan")],
)
def test_bad_output_of_a_simulator_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        Simulator(function).sample(torch.zeros(2, 2))


def test_channels_by_name():
    channel = noise_channel("nb", inverse_dispersion=2.0)
    assert isinstance(channel, NegativeBinomial)
    assert noise_channel(channel) is channel
    assert repr(channel) == "NegativeBinomial(inverse_dispersion=2)"
    assert {type(noise_channel("poisson")), type(noise_channel("jacobi"))} <= set(NOISE_CHANNELS.values())


def test_unknown_names_and_stray_parameters_are_refused():
    with pytest.raises(ValueError, match="'salt' is not known; use one of binomial, "):
        noise_channel("salt")
    with pytest.raises(ValueError, match="has its parameters already; set gain"):
        noise_channel(Poisson(), gain=2.0)
