"""Correlated Gaussian noise against dense matrices."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from scif.core.noise import CorrelatedGaussian, NoDensity, _random

KERNEL = torch.tensor([[0.2, 0.5, 0.0, 0.3], [0.4, 2.0, -0.3, 0.1], [0.0, 0.5, 0.1, 0.0]], dtype=torch.float64)
FIELD = (5, 6)


def _matrix(noise: CorrelatedGaussian, monkeypatch) -> torch.Tensor:
    """The linear map from white to correlated noise, column by column."""
    size = FIELD[0] * FIELD[1]
    units = torch.eye(size, dtype=torch.float64).reshape(size, *FIELD)
    with monkeypatch.context() as patch:
        patch.setattr(_random, "normal", lambda like, generator: units)
        return noise.noise(units).reshape(size, size).T


def test_circular_noise_is_the_convolution(monkeypatch):
    noise = CorrelatedGaussian(KERNEL, 1.0)
    matrix = _matrix(noise, monkeypatch)
    expected = torch.zeros_like(matrix)
    unit = KERNEL / KERNEL.norm()
    for i in range(FIELD[0]):
        for j in range(FIELD[1]):
            for u in range(3):
                for v in range(4):
                    source = ((i - u + 1) % FIELD[0]) * FIELD[1] + (j - v + 2) % FIELD[1]
                    expected[i * FIELD[1] + j, source] += unit[u, v]
    torch.testing.assert_close(matrix, expected)


@pytest.mark.parametrize("boundary", ["circular", "reflect"])
def test_variance_is_that_of_the_linear_map(boundary, monkeypatch):
    noise = CorrelatedGaussian(KERNEL, 1.7, boundary=boundary)
    matrix = _matrix(noise, monkeypatch)
    variance = noise.moments(torch.zeros(1, *FIELD, dtype=torch.float64)).variance
    torch.testing.assert_close(variance.flatten(), matrix.square().sum(1))
    if boundary == "circular":
        torch.testing.assert_close(variance, torch.full_like(variance, 1.7**2), rtol=1e-6, atol=0)


def test_reflection_repeats_the_edge(monkeypatch):
    noise = CorrelatedGaussian(torch.tensor([[1.0, 1.0, 0.0]]), 1.0, boundary="reflect")
    matrix = _matrix(noise, monkeypatch)
    # This kernel adds each entry's right-hand neighbour, and the last entry of a row is its own.
    assert (matrix[0].abs() > 1e-9).nonzero().flatten().tolist() == [0, 1]
    assert matrix[FIELD[1] - 1, FIELD[1] - 1].item() == pytest.approx(2 * 0.5**0.5)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_log_prob_is_the_multivariate_normal(share, monkeypatch, generator):
    noise = CorrelatedGaussian(KERNEL, 0.8)
    matrix = _matrix(noise, monkeypatch)
    x0 = torch.randn(4, *FIELD, dtype=torch.float64, generator=generator)
    x1 = noise.sample(x0, generator=generator)
    dense = MultivariateNormal(share * x0.flatten(1), covariance_matrix=share * matrix @ matrix.T)
    if share < 1:
        x1 = noise.split(x1, share, generator=generator).a
        actual = noise.part_log_prob(x1, x0, share)
    else:
        actual = noise.log_prob(x1, x0)
    torch.testing.assert_close(actual, dense.log_prob(x1.flatten(1)))


def test_colour_channels_are_independent_fields(generator):
    noise = CorrelatedGaussian(KERNEL, torch.tensor([0.5, 2.0], dtype=torch.float64).reshape(2, 1, 1))
    x0 = torch.zeros(3, 2, *FIELD, dtype=torch.float64)
    x1 = noise.sample(x0, generator=generator)
    each = [CorrelatedGaussian(KERNEL, s).log_prob(x1[:, k], x0[:, k]) for k, s in enumerate((0.5, 2.0))]
    torch.testing.assert_close(noise.log_prob(x1, x0), each[0] + each[1])


def test_published_kernel_has_its_peak_on_the_grid_and_does_not_depend_on_the_field(generator):
    noise = CorrelatedGaussian.from_span(2.0, 0.1)
    size = noise.kernel.shape[0]
    assert noise.kernel.argmax() == noise.kernel.numel() // 2
    assert size % 2 == 1
    torch.testing.assert_close(noise.kernel, noise.kernel.flip(0, 1))
    assert float(noise.kernel.norm()) == pytest.approx(1.0)
    ratio = noise.kernel[size // 2, size // 2 + 1] / noise.kernel.max()
    assert float(ratio) == pytest.approx(torch.cos(torch.tensor(1.0)).item() * 2.718281828 ** (-1 / 8), rel=1e-6)
    lags = [
        (x := noise.sample(torch.zeros(200, n, n), generator=generator))[..., 1:].mul(x[..., :-1]).mean() / 0.01
        for n in (24, 40)
    ]
    expected = (noise.kernel[:, 1:] * noise.kernel[:, :-1]).sum()
    assert lags[0].item() == pytest.approx(expected.item(), abs=0.02)
    assert lags[1].item() == pytest.approx(expected.item(), abs=0.02)


def test_power_spectrum_is_reproduced(generator):
    frequency = torch.fft.fftfreq(8)
    power = 3.0 / (0.1 + frequency[:, None].square() + frequency.square())
    noise = CorrelatedGaussian.from_power_spectrum(power)
    assert float(noise.sigma) == pytest.approx(float(power.mean().sqrt()))
    x1 = noise.sample(torch.zeros(4000, 8, 8), generator=generator)
    torch.testing.assert_close(torch.fft.fft2(x1).abs().square().mean(0) / 64, power, rtol=0.15, atol=0)


def test_lopsided_power_spectrum_is_refused():
    with pytest.raises(ValueError, match="differs between opposite frequencies by up to 2"):
        CorrelatedGaussian.from_power_spectrum(torch.tensor([1.0, 3.0, 2.0, 1.0]))


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (CorrelatedGaussian(torch.ones(2), 1.0), "zeros in its power spectrum"),
        (CorrelatedGaussian(torch.tensor([1.0, 0.2]), 1.0, boundary="reflect"), "a reflecting boundary"),
    ],
)
def test_no_density_where_none_can_be_computed(noise, reason):
    with pytest.raises(NoDensity, match=reason):
        noise.log_prob(torch.zeros(2, 4), torch.zeros(2, 4))


def test_signals_smaller_than_the_kernel_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3, 3\) do not fit a kernel of shape \(3, 4\)"):
        CorrelatedGaussian(KERNEL, 1.0).sample(torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="a batch axis is needed"):
        CorrelatedGaussian(KERNEL, 1.0).sample(torch.zeros(8, 8))
