"""Closed forms and invariances of the image metrics."""

from __future__ import annotations

import numpy as np
import pytest

from scif.fields.images.metrics import affine_psnr, fourier_ring_correlation, psnr, ssim


@pytest.fixture
def truth() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:80] / 20
    return 100 + 50 * np.sin(x) * np.cos(y)


def test_psnr_of_noise_of_known_power(truth: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(size=truth.shape)
    noise *= 25 / np.sqrt(np.mean(noise**2))
    assert psnr(truth, truth + noise, data_range=255) == pytest.approx(20 * np.log10(255 / 25))
    assert psnr(truth, truth) == np.inf


def test_affine_psnr_ignores_brightness_and_contrast(truth: np.ndarray) -> None:
    image = truth + np.random.default_rng(0).normal(scale=9, size=truth.shape)
    assert affine_psnr(truth, 0.2 * image + 31) == pytest.approx(affine_psnr(truth, image))
    assert affine_psnr(truth, image) >= psnr(truth, image)
    assert affine_psnr(truth, np.zeros_like(truth)) == pytest.approx(10 * np.log10(np.ptp(truth) ** 2 / truth.var()))


def test_ssim_falls_with_noise(truth: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(size=truth.shape)
    scores = [ssim(truth, truth + scale * noise) for scale in (0, 1, 5, 25)]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("shape", [(96, 80), (24, 28, 32)])
def test_ring_correlation_of_signal_plus_noise(shape: tuple[int, ...]) -> None:
    """Two images with equal signal and independent noise of the same power correlate by one half at every frequency."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=shape)
    curve = fourier_ring_correlation(signal + rng.normal(size=shape), signal + rng.normal(size=shape))
    assert np.average(curve.correlation, weights=curve.frequency) == pytest.approx(0.5, abs=0.06)
    assert (np.diff(curve.frequency) > 0).all()
    assert curve.frequency[-1] <= 0.52


def test_resolution_is_where_the_detail_ends() -> None:
    """Signal cut off at a period of eight pixels, under weak noise, is resolved down to eight pixels."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(192), np.fft.fftfreq(192)))
    signal = np.fft.ifft2(np.fft.fft2(rng.normal(size=(192, 192))) * (frequency < 1 / 8)).real
    first, second = (signal + 0.1 * rng.normal(size=signal.shape) for _ in range(2))
    assert fourier_ring_correlation(first, second).resolution() == pytest.approx(8, rel=0.1)
    assert fourier_ring_correlation(signal, signal).resolution() == pytest.approx(2, rel=0.05)


def test_bad_input_is_named(truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(96, 80\) and \(3, 3\)"):
        psnr(truth, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="NaN"):
        psnr(truth, np.full_like(truth, np.nan))
    with pytest.raises(ValueError, match="data_range is 0"):
        psnr(np.ones((8, 8)), np.ones((8, 8)))
