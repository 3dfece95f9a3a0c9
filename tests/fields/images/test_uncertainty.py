"""The map of errors covers the truth that it does not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from scif.cli import main
from scif.core.noise import Gaussian, NoiseModel, Poisson
from scif.fields.images import ImageDenoiser
from scif.fields.images._uncertainty import ErrorMap, calibrate_map, sensitivity
from scif.fields.images._units import InUnits


def scene(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return 120 + 50 * np.sin(x / 9) * np.cos(y / 11) + 30 * (np.hypot(x % 40 - 20, y % 40 - 20) < 12)


@pytest.mark.parametrize("noise", [Gaussian(0.5), Poisson(0.2)], ids=["Gaussian", "Poisson"])
def test_a_filter_gets_the_error_that_it_has(noise: NoiseModel) -> None:
    """Means of three pixels err by noise on a flat half, and by what they blur on the other."""
    units = InUnits(noise, offset=0.0, scale=1.0)
    clean = torch.full((32, 1, 48, 48), 1.5)
    clean[..., 24:] += (torch.arange(24.0) * 1.9).sin()
    x1 = units.sample(clean, generator=torch.Generator().manual_seed(0))

    def three(x: torch.Tensor) -> torch.Tensor:
        return (x + x.roll(1, -1) + x.roll(-1, -1)) / 3

    passed = sensitivity(three, units, x1, clean)
    assert float(passed.mean()) == pytest.approx(1 / 3, rel=0.2)  # shot noise differs from pixel to pixel
    errors = ErrorMap(1)
    assert not errors.is_calibrated
    calibrate_map(errors, three, three, units, x1)
    assert errors.is_calibrated
    std = errors.std(three, units, x1, three(x1))
    truth = (three(x1) - clean).square().mean()
    assert float(std.square().mean()) == pytest.approx(float(truth), rel=0.1)


@pytest.fixture(scope="module")
def fitted() -> ImageDenoiser:
    noisy = scene(96) + 20 * np.random.default_rng(0).normal(size=(6, 96, 96))
    return ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(noisy, max_steps=80, patch=24)


@pytest.mark.trains
def test_intervals_cover_frames_held_out(fitted: ImageDenoiser, tmp_path: Path) -> None:
    noisy = scene(96) + 20 * np.random.default_rng(1).normal(size=(2, 96, 96))
    clean, std = fitted.denoise(noisy, return_std=True)
    np.testing.assert_array_equal(clean, fitted.denoise(noisy))
    assert std.shape == noisy.shape and std.dtype == np.float32
    covered = np.mean(np.abs(clean - scene(96)) < 1.645 * std)
    assert 0.85 < covered < 0.95
    fitted.save(tmp_path / "model.safetensors")
    again = ImageDenoiser.load(tmp_path / "model.safetensors").denoise(noisy, return_std=True)
    np.testing.assert_allclose(again[1], std, rtol=1e-4)


@pytest.mark.trains
def test_padding_has_no_spread_and_integers_keep_fractions(fitted: ImageDenoiser) -> None:
    noisy = (scene(96) + 20 * np.random.default_rng(1).normal(size=(2, 96, 96))).clip(1, 255).astype(np.uint8)
    noisy[:, :20] = 0
    with pytest.warns(UserWarning, match="padding"):
        clean, std = fitted.denoise(list(noisy), return_std=True)[0]
    assert clean.dtype == np.uint8 and std.dtype == np.float32
    assert (std[:20] == 0).all() and (std[24:] > 0).all()


@pytest.mark.trains
def test_the_transport_has_none() -> None:
    images = np.random.default_rng(0).normal(100, 20, size=(4, 40, 40))
    denoiser = ImageDenoiser(Gaussian(10.0), widths=(2, 4), anchor_weight=0, consistency_weight=1)
    with pytest.raises(ValueError, match="the transport has no error estimate"):
        denoiser.fit(images, max_steps=1, patch=16).denoise(images, return_std=True)


@pytest.mark.trains
@pytest.mark.parametrize("name", ["cells.ome.tif", "cells.png"])
def test_files_get_a_second_file(tmp_path: Path, fitted: ImageDenoiser, name: str) -> None:
    from PIL import Image

    pixels = scene(96).round().astype(np.uint8)
    if name.endswith(".png"):
        Image.fromarray(pixels).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, pixels, metadata={"axes": "YX"})
    model = tmp_path / "model.safetensors"
    fitted.save(model)
    assert not main(["image", "denoise", str(tmp_path / name), "--model", str(model), "--uncertainty"])
    std = tifffile.imread(next(tmp_path.glob("cells_denoised_std*")))
    assert std.shape == pixels.shape and std.dtype == np.float32 and (std > 0).all()
    assert not main(["image", "report", str(tmp_path / name), "--model", str(model), "--out", str(tmp_path / "r.html")])
    assert "data:image/png" in (tmp_path / "r.html").read_text()
