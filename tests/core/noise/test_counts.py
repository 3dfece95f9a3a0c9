"""Count channels: exact totals, mass functions in single precision, and the draws behind them."""

from __future__ import annotations

import itertools

import pytest
import torch

from scif.core.noise import Gamma, Multinomial, NegativeBinomial, Poisson, PoissonGaussian, _random


@pytest.mark.parametrize("size", [0, 1, 7, 100, 50_000])
def test_multinomial_draws_exactly_the_library_size(size, generator):
    x0 = torch.rand(40, 13, generator=generator)
    x1 = Multinomial(size).sample(x0, generator=generator)
    assert (x1.sum(-1) == size).all()
    assert ((x1 >= 0) & (x1 == x1.round())).all()


def test_multinomial_of_a_deep_library_has_the_right_covariance(generator):
    share = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    x1 = Multinomial(1000).sample(share.expand(10_000, 3), generator=generator)
    expected = 1000 * (torch.diag(share) - share[:, None] * share)
    torch.testing.assert_close(torch.cov(x1.T), expected, rtol=0.08, atol=0)


def test_genes_without_weight_never_get_a_molecule(monkeypatch):
    # The lowest possible position falls on the edge between the empty first gene and the second.
    monkeypatch.setattr(_random, "uniform", lambda like, generator: torch.zeros_like(like))
    x1 = Multinomial(9).sample(torch.tensor([[0.0, 1.0, 0.0, 1.0]]))
    assert x1.tolist() == [[0.0, 9.0, 0.0, 0.0]]


def test_multinomial_library_sizes_may_differ_between_samples(generator):
    sizes = torch.tensor([3.0, 500.0, 0.0])
    channel = Multinomial(sizes)
    x0 = torch.tensor([[1.0, 1.0], [0.2, 0.6], [0.0, 0.0]])
    assert channel.sample(x0, generator=generator).sum(-1).tolist() == sizes.tolist()
    torch.testing.assert_close(channel.moments(x0).mean, torch.tensor([[1.5, 1.5], [125.0, 375.0], [0.0, 0.0]]))


def test_multinomial_mass_sums_to_one_over_all_outcomes():
    outcomes = [o for o in itertools.product(range(7), repeat=3) if sum(o) == 6]
    x1 = torch.tensor(outcomes, dtype=torch.float64)
    x0 = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64).expand_as(x1)
    channel = Multinomial(6)
    log_prob = channel.log_prob(x1, x0)
    torch.testing.assert_close(log_prob.exp().sum(), torch.tensor(1.0).double())
    reference = torch.distributions.Multinomial(6, probs=x0[0]).log_prob(x1)
    torch.testing.assert_close(log_prob, reference)
    torch.testing.assert_close(channel.part_log_prob(x1, x0, 0.3), reference)
    assert torch.isneginf(channel.log_prob(x1 + 1, x0)).all()


def test_multinomial_without_proportions_is_refused():
    with pytest.raises(ValueError, match="x0 is zero throughout sample 1"):
        Multinomial(5).sample(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))


def test_counts_off_the_gain_are_refused():
    with pytest.raises(ValueError, match=r"x1 contains 0\.7, not a multiple of the gain"):
        Poisson(0.5).split(torch.tensor([[1.5, 0.7]]))
    with pytest.raises(ValueError, match="outside its support: counts"):
        NegativeBinomial(1.0).split(torch.tensor([[1.5]]))


@pytest.mark.parametrize("count", [0.0, 3.0, 1e3, 1e5])
def test_poisson_mass_keeps_its_digits_in_single_precision(count):
    x = torch.tensor([[count]], dtype=torch.float64)
    rate = x + 0.5 * x.sqrt() + 0.1
    expected = torch.distributions.Poisson(rate).log_prob(x)
    torch.testing.assert_close(Poisson().log_prob(x.float(), rate.float()).double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("theta", [1e-3, 0.7, 30.0, 1e4])
def test_negative_binomial_mass_keeps_its_digits_in_single_precision(theta):
    x1 = torch.tensor([[0.0, 2.0, 900.0]], dtype=torch.float64)
    x0 = torch.tensor([[0.3, 5.0, 1000.0]], dtype=torch.float64)
    reference = torch.distributions.NegativeBinomial(torch.tensor(theta).double(), logits=(x0 / theta).log())
    actual = NegativeBinomial(theta).log_prob(x1.float(), x0.float()).double()
    torch.testing.assert_close(actual, reference.log_prob(x1), rtol=2e-4, atol=2e-4)


def test_negative_binomial_tends_to_poisson():
    x1, x0 = torch.tensor([[0.0, 4.0, 50.0]]), torch.tensor([[0.5, 3.0, 60.0]])
    torch.testing.assert_close(NegativeBinomial(1e8).log_prob(x1, x0), Poisson().log_prob(x1, x0), rtol=1e-4, atol=1e-4)


def test_gradient_at_zero_expected_counts_is_that_of_the_limit():
    x0 = torch.zeros(1, 1, requires_grad=True)
    Poisson().log_prob(torch.zeros(1, 1), x0).sum().backward()
    assert x0.grad.item() == -1.0


def test_mass_is_differentiable_in_the_inverse_dispersion():
    theta = torch.tensor([0.8, 3.0, 40.0], dtype=torch.float64, requires_grad=True)
    x1, x0 = torch.tensor([[0.0, 2.0, 30.0]]).double(), torch.tensor([[1.0, 2.0, 25.0]]).double()
    assert torch.autograd.gradcheck(lambda t: NegativeBinomial(t).log_prob(x1, x0), theta)


def test_poisson_gaussian_density_without_shot_noise_is_gaussian():
    x1 = torch.linspace(-5, 5, 11, dtype=torch.float64)[None]
    density = PoissonGaussian(1.0, 1.5).log_prob(x1, torch.zeros_like(x1))
    torch.testing.assert_close(density, torch.distributions.Normal(0.0, 1.5).log_prob(x1))


@pytest.mark.parametrize(("sigma", "bright"), [(0.05, 20.0), (300.0, 20.0), (30.0, 1e5)])
def test_poisson_gaussian_density_is_a_sum_over_events(sigma, bright):
    x0 = torch.full((1, 5), bright, dtype=torch.float64)
    x1 = bright + torch.linspace(-3, 3, 5, dtype=torch.float64)[None] * (bright + sigma**2) ** 0.5
    events = torch.arange(max(bright - 60 * bright**0.5, 0) // 1, bright + 60 * bright**0.5, dtype=torch.float64)
    terms = torch.distributions.Poisson(x0[..., None]).log_prob(events)
    terms = terms + torch.distributions.Normal(events, sigma).log_prob(x1[..., None])
    channel = PoissonGaussian(1.0, torch.tensor(sigma, dtype=torch.float64))
    torch.testing.assert_close(channel.log_prob(x1, x0), terms.logsumexp(-1), rtol=1e-8, atol=1e-8)


def test_gamma_density_needs_a_positive_signal():
    with pytest.raises(ValueError, match="x0 of a gamma density"):
        Gamma(2.0).log_prob(torch.ones(1, 2), torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize(("a", "b"), [(1e-4, 1e-4), (1e-3, 3e-3), (0.5, 2.0), (50.0, 10.0)])
def test_beta_draws_have_their_moments_down_to_tiny_parameters(a, b, generator):
    draws = _random.beta(torch.full((40_000,), a), torch.full((40_000,), b), generator)
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert torch.isfinite(draws).all()
    assert draws.mean().item() == pytest.approx(mean, abs=5 * (variance / 40_000) ** 0.5)
    assert draws.var().item() == pytest.approx(variance, rel=0.05)


def test_thinning_of_strongly_dispersed_counts_stays_whole(generator):
    x1 = NegativeBinomial(1e-3).sample(torch.full((20_000, 1), 5.0), generator=generator)
    parts = NegativeBinomial(1e-3).split(x1, 0.4, generator=generator)
    assert torch.equal(parts.a + parts.b, x1)
    assert torch.equal(parts.a, parts.a.round())


@pytest.mark.parametrize("rate", [1e-3, 1e-8, 1e-20])
@pytest.mark.parametrize("channel", [Poisson(), NegativeBinomial(2.0), NegativeBinomial(1e6)], ids=str)
def test_a_count_that_was_hardly_expected_has_a_finite_log_mass(channel, rate):
    # the leading term at a low rate is x log(rate), with a slope of x / rate
    x1, x0 = torch.tensor([[1.0, 30.0]]), torch.full((1, 2), rate, requires_grad=True)
    single, double = channel.log_prob(x1, x0), channel.log_prob(x1.double(), x0.detach().double())
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-5)
    slope = torch.autograd.grad(single.sum(), x0)[0]
    torch.testing.assert_close(slope * rate, x1, rtol=1e-2, atol=0.0)
    low = channel.log_prob(x1.double(), torch.full_like(x1, rate / 10).double())
    torch.testing.assert_close(double - low, x1.double() * torch.tensor(10.0).log(), rtol=0, atol=0.01 + rate * 50)


def test_where_a_device_draws_no_counts_the_cpu_does_from_the_same_seed(monkeypatch):
    monkeypatch.setattr(_random, "_WITHOUT_KERNELS", ("cpu",))
    x0, channel = torch.full((2000, 2), 3.0), NegativeBinomial(2.0)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    first, same, other = (channel.sample(x0, generator=generator) for generator in generators)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert not torch.equal(first, channel.sample(x0, generator=generators[0]))
    torch.testing.assert_close(first.var(), channel.moments(x0[:1]).variance.mean(), rtol=0.15, atol=0)
