"""Fits give back the parameters that made the data."""

from __future__ import annotations

import pytest
import torch

from scif.core.noise import (
    Binomial,
    CorrelatedGaussian,
    Gamma,
    Gaussian,
    Jacobi,
    Multinomial,
    NegativeBinomial,
    Poisson,
    PoissonGaussian,
    Rayleigh,
    SDEChannel,
    Simulator,
)

BRIGHT_AND_DARK = torch.linspace(0.5, 60.0, 400, dtype=torch.float64)


def _pairs(generator):
    return torch.rand(60, 400, dtype=torch.float64, generator=generator) * 50 + 1


PAIRED = {
    "gaussian": (Gaussian(1.7), {}, {"sigma": 0.03}),
    "poisson": (Poisson(0.4), {}, {"gain": 0.03}),
    "poisson_gaussian": (PoissonGaussian(1.5, 4.0, offset=20.0), {}, {"gain": 0.05, "sigma": 0.05, "offset": 0.01}),
    "gamma": (Gamma(12.0), {}, {"shape": 0.04}),
    "rayleigh": (Rayleigh(0.4, shift=1.0), {"shift": 1.0}, {"scale": 0.03}),
    "negative_binomial": (NegativeBinomial(3.0), {"per": "all"}, {"inverse_dispersion": 0.05}),
    "binomial": (Binomial(0.3), {}, {"probability": 0.01}),
}


@pytest.mark.parametrize("name", PAIRED)
def test_from_pairs_of_clean_and_noisy(name, generator):
    channel, options, tolerances = PAIRED[name]
    x0 = _pairs(generator).round()
    fitted = type(channel).fit(channel.sample(x0, generator=generator), x0, **options)
    for parameter, tolerance in tolerances.items():
        truth = getattr(channel, parameter).double()
        torch.testing.assert_close(getattr(fitted, parameter), truth, rtol=tolerance, atol=0)


FRAMED = {name: PAIRED[name] for name in ("gaussian", "poisson", "gamma", "negative_binomial")} | {
    "poisson_gaussian": (PoissonGaussian(1.5, 4.0, offset=20.0), {"offset": 20.0}, {"gain": 0.05, "sigma": 0.1}),
}


@pytest.mark.parametrize("name", FRAMED)
def test_from_repeated_frames_of_one_scene(name, generator):
    channel, options, tolerances = FRAMED[name]
    frames = channel.sample(BRIGHT_AND_DARK.expand(100, -1), generator=generator)
    fitted = type(channel).fit(frames, **options)
    for parameter, tolerance in tolerances.items():
        truth = getattr(channel, parameter).double()
        torch.testing.assert_close(getattr(fitted, parameter), truth, rtol=tolerance, atol=0)


def test_few_frames_do_not_bias_the_fit(generator):
    frames = Gamma(2.0).sample(torch.ones(3, 40_000, dtype=torch.float64), generator=generator)
    assert float(Gamma.fit(frames).shape) == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize(("per", "shape"), [("all", ()), ("channel", (2, 1, 1)), ("entry", (2, 8, 8))])
def test_entries_may_share_a_parameter(per, shape, generator):
    sigma = torch.tensor([0.5, 2.0]).reshape(2, 1, 1)
    x0 = torch.zeros(600, 2, 8, 8)
    fitted = Gaussian.fit(Gaussian(sigma).sample(x0, generator=generator), x0, per=per)
    assert fitted.sigma.shape == shape
    expected = sigma.square().mean().sqrt() if per == "all" else sigma
    torch.testing.assert_close(fitted.sigma, expected.expand(shape), rtol=0.2 if per == "entry" else 0.03, atol=0)
    fitted.sample(x0[:3], generator=generator)


def test_unknown_sharing_is_named():
    with pytest.raises(ValueError, match="per='rows' is not known"):
        Gaussian.fit(torch.randn(4, 3), per="rows")


def test_negative_binomial_per_gene_from_counts_and_library_sizes(generator):
    theta = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)
    profile = torch.tensor([4.0, 10.0, 30.0], dtype=torch.float64)
    depth = 0.5 + torch.rand(20_000, dtype=torch.float64, generator=generator)
    counts = NegativeBinomial(theta).sample(depth[:, None] * profile, generator=generator)
    fitted = NegativeBinomial.fit(counts, library_size=1000 * depth)
    torch.testing.assert_close(fitted.inverse_dispersion, theta, rtol=0.08, atol=0)
    # Without the library sizes their spread counts as dispersion.
    assert (NegativeBinomial.fit(counts).inverse_dispersion < 0.95 * theta).all()


def test_genes_without_overdispersion_get_the_ceiling():
    counts = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    assert NegativeBinomial.fit(counts, ceiling=1e4).inverse_dispersion.tolist() == [1e4, 1e4]


def test_correlated_gaussian_recovers_its_spectrum(generator):
    channel = CorrelatedGaussian(torch.tensor([[0.2, 0.5, 0.2], [0.4, 1.0, -0.3], [0.0, 0.5, 0.1]]), 1.5)
    x0 = torch.zeros(3000, 1, 6, 8)
    x1 = channel.sample(x0, generator=generator)
    for fitted in (CorrelatedGaussian.fit(x1, x0), CorrelatedGaussian.fit(x1 + torch.arange(8.0))):
        torch.testing.assert_close(fitted.sigma, channel.sigma, rtol=0.02, atol=0)
        power = [torch.fft.fftn(c.kernel, s=(6, 8)).abs().square() for c in (fitted, channel)]
        torch.testing.assert_close(power[0], power[1], rtol=0.12, atol=0.02)


def test_jacobi_recovers_its_pulls(generator):
    x0 = torch.rand(100_000, 1, dtype=torch.float64, generator=generator)
    fitted = Jacobi.fit(Jacobi(2.0, 1.0, horizon=0.5).sample(x0, generator=generator), x0, horizon=0.5)
    assert float(fitted.a) == pytest.approx(2.0, rel=0.05)
    assert float(fitted.b) == pytest.approx(1.0, rel=0.05)


def test_multinomial_takes_the_library_sizes():
    assert Multinomial.fit(torch.tensor([[1.0, 4.0], [0.0, 2.0]])).library_size.tolist() == [5.0, 2.0]


def test_one_frame_is_not_enough():
    with pytest.raises(ValueError, match="x1 has 1 frame"):
        Gaussian.fit(torch.zeros(1, 4))


@pytest.mark.parametrize("family", [Rayleigh, Binomial, Jacobi])
def test_some_families_need_the_clean_signal(family):
    with pytest.raises(ValueError, match=r"needs x0.*pass x0="):
        family.fit(torch.ones(4, 3))


@pytest.mark.parametrize("family", [SDEChannel, Simulator])
def test_some_families_have_nothing_to_fit(family):
    with pytest.raises(TypeError, match="nothing to fit"):
        family.fit(torch.ones(4, 3))


def test_data_that_no_parameters_explain_are_refused(generator):
    x0 = _pairs(generator)
    with pytest.raises(ValueError, match="read-noise variance"):
        PoissonGaussian.fit(Gamma(5.0).sample(x0, generator=generator), x0)
    with pytest.raises(ValueError, match="which no Jacobi diffusion does"):
        Jacobi.fit(x0 * 2, x0)
    with pytest.raises(ValueError, match="not finite"):
        Gaussian.fit(torch.full((3, 2), float("nan")))
    with pytest.raises(ValueError, match=r"x1 has shape \(3, 2\) but x0 has shape \(2, 2\)"):
        Poisson.fit(torch.ones(3, 2), torch.ones(2, 2))
