"""Frames of very different brightness: training follows the noise, not the brightest frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scif.core.noise import Gaussian
from scif.fields.images import ImageDenoiser
from scif.fields.images._contrast import NoiseContrast
from scif.nn.unet import UNet

SIGMA = 10.0


def frames(brightness: np.ndarray, side: int = 64) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    scenes = [
        60
        + 30 * np.sin((x + 7 * k) / 9) * np.cos((y + 5 * k) / 11)
        + 20 / (1 + np.exp(np.hypot((x + 3 * k) % 40 - 20, (y + 5 * k) % 40 - 20) - 12))
        for k in range(len(brightness))
    ]
    return (brightness[:, None, None] * np.stack(scenes)).astype(np.float32)


def noisy(clean: np.ndarray) -> np.ndarray:
    return clean + SIGMA * np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)


def test_the_network_sees_contrast_where_brightness_differs_and_is_saved_with_it(tmp_path: Path) -> None:
    images = noisy(frames(np.geomspace(1, 100, 6)))
    denoiser = ImageDenoiser(Gaussian(SIGMA), widths=(2, 4)).fit(images, max_steps=2, batch_size=2, patch=16)
    assert isinstance(denoiser.restorers_[0].model.net, NoiseContrast)
    assert denoiser.restorers_[0].multiple == (2, 2)
    denoiser.save(tmp_path / "a.safetensors")
    again = ImageDenoiser.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.denoise(images), denoiser.denoise(images))
    whole, tiled = denoiser.denoise(images), denoiser.denoise(images, tile=56, overlap=48)
    np.testing.assert_allclose(tiled, whole, atol=0.02 * SIGMA)
    ordinary = noisy(frames(np.ones(6)))
    denoiser = ImageDenoiser(Gaussian(SIGMA), widths=(2, 4)).fit(ordinary, max_steps=1, batch_size=2, patch=16)
    assert type(denoiser.restorers_[0].model.net) is UNet


@pytest.mark.slow
@pytest.mark.trains
def test_dim_frames_among_bright_ones_are_denoised() -> None:
    clean = frames(np.geomspace(1, 100, 24))
    images = noisy(clean)
    denoiser = ImageDenoiser(Gaussian(SIGMA), widths=(8, 16)).fit(images, max_steps=200, patch=32)
    error = np.sqrt(((denoiser.denoise(images) - clean) ** 2).mean((1, 2)))
    assert error[:8].max() < 0.4 * SIGMA
    assert error.max() < SIGMA
