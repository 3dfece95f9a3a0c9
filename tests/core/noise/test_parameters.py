"""Parameters outside their range are refused by name."""

from __future__ import annotations

import pytest
import torch

from scif.core.noise import (
    Binomial,
    Compose,
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

BAD = {
    "sigma zero": (lambda: Gaussian(0.0), r"sigma has values in \[0, 0\]"),
    "sigma nan": (lambda: Gaussian(float("nan")), "sigma has values"),
    "one sigma negative": (lambda: Gaussian(torch.tensor([1.0, -2.0])), r"sigma has values in \[-2, 1\]"),
    "gain": (lambda: Poisson(-1.0), "gain has values"),
    "read noise": (lambda: PoissonGaussian(1.0, 0.0), "sigma has values"),
    "offset": (lambda: PoissonGaussian(1.0, 1.0, offset=float("inf")), "offset contains inf"),
    "shape": (lambda: Gamma(0.0), "shape has values"),
    "scale": (lambda: Rayleigh(-0.1), "scale has values"),
    "shift": (lambda: Rayleigh(0.1, shift=-1.0), "shift has values"),
    "inverse dispersion": (lambda: NegativeBinomial(0.0), "inverse_dispersion has values"),
    "library size": (lambda: Multinomial(2.5), "library_size contains 2.5"),
    "probability above one": (lambda: Binomial(1.2), r"probability has values in \[1.2, 1.2\]"),
    "probability zero": (lambda: Binomial(0.0), "probability has values"),
    "pull": (lambda: Jacobi(0.0), "a has values"),
    "short horizon": (lambda: Jacobi(horizon=0.01), "horizon is 0.01; exact Jacobi samples"),
    "varying pulls": (lambda: Jacobi(torch.ones(3, 1)), "use sampler='euler'"),
    "sampler": (lambda: Jacobi(sampler="magic"), "sampler='magic' is not known"),
    "horizon": (lambda: SDEChannel(torch.sin, torch.cos, horizon=-1.0, num_steps=3), "horizon has values"),
    "steps": (lambda: SDEChannel(torch.sin, torch.cos, horizon=1.0, num_steps=0), "num_steps is 0"),
    "zero kernel": (lambda: CorrelatedGaussian(torch.zeros(3), 1.0), r"kernel has shape \(3,\) and norm 0"),
    "boundary": (lambda: CorrelatedGaussian(torch.ones(3), 1.0, boundary="wrap"), "boundary='wrap' is not known"),
    "span": (lambda: CorrelatedGaussian.from_span(0.0, 1.0), "span is 0"),
    "negative power": (lambda: CorrelatedGaussian.from_power_spectrum(torch.tensor([1.0, -1.0])), "power contains -1"),
    "draws of a simulator": (lambda: Simulator(torch.sin, moment_draws=1), "moment_draws is 1"),
    "draws of a chain": (lambda: Compose(Gaussian(1.0), Gaussian(1.0), moment_draws=1), "moment_draws is 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_are_named(name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_channel_does_not_share_memory_with_its_parameters():
    sigma = torch.ones(3)
    channel = Gaussian(sigma)
    sigma.fill_(-1.0)
    assert channel.sigma.tolist() == [1.0, 1.0, 1.0]


def test_parameters_follow_the_module():
    assert Poisson(0.5).double().gain.dtype == torch.float64
    assert set(Jacobi().state_dict()) == {"a", "b", "horizon", "ancestors"}


def test_gradients_reach_parameters_given_as_tensors():
    sigma = torch.tensor(0.7, requires_grad=True)
    Gaussian(sigma).sample(torch.zeros(3, 2)).square().sum().backward()
    assert sigma.grad is not None
    shape = torch.tensor(2.0, requires_grad=True)
    Gamma(shape).sample(torch.ones(3, 2)).sum().backward()
    assert shape.grad is not None


def test_what_is_no_number_no_tensor_or_no_channel_is_named():
    with pytest.raises(TypeError, match="sigma is 'large'; give a number"):
        Gaussian("large")
    with pytest.raises(TypeError, match="x0 is a list; pass a tensor"):
        Gaussian(1.0).sample([1.0, 2.0])
    with pytest.raises(TypeError, match="unsupported operand"):
        Gaussian(1.0) @ 3.0
