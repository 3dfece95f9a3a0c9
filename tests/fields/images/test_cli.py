"""``scif image``: what it writes, what it prints, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from scif.cli import main
from scif.fields.images import ImageDenoiser, psnr

FAST = ["--max-steps", "2", "--batch-size", "2", "--patch", "16", "--noise", "gaussian"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    clean = 120 + 60 * np.sin(np.arange(96) / 6) * np.ones((96, 1))
    for name, sigma in (("clean", 0), ("noisy", 15), ("worse", 30)):
        image = (clean + sigma * rng.normal(size=(96, 96))).clip(0, 255).round().astype(np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", image, metadata={"axes": "YX"})
    return tmp_path


@pytest.mark.trains
def test_denoise_writes_beside_and_saves_the_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "model.safetensors"
    noisy = folder / "noisy.tif"
    before = noisy.read_bytes()
    assert main(["image", "denoise", str(noisy), *FAST, "--save-model", str(model)]) == 0
    assert "noisy_denoised.tif (estimator: mean)" in capsys.readouterr().out
    assert noisy.read_bytes() == before
    result = tifffile.imread(folder / "noisy_denoised.tif")
    np.testing.assert_array_equal(result, ImageDenoiser.load(model).denoise(tifffile.imread(noisy)))

    assert main(["image", "denoise", str(noisy), "--model", str(model), "--out", str(folder / "out")]) == 0
    np.testing.assert_array_equal(tifffile.imread(folder / "out" / "noisy.tif"), result)
    assert main(["image", "denoise", str(noisy), "--model", str(model)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["image", "denoise", str(noisy), *FAST, "--save-model", str(model)]) == 2


def test_calibrate_prints_and_plots(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "calibrate", str(folder / "noisy.tif"), "--plot", str(folder / "noise.png")]) == 0
    assert "Gaussian noise: sigma 1" in capsys.readouterr().out
    assert (folder / "noise.png").stat().st_size > 5000
    frames = np.random.default_rng(0).poisson(np.linspace(5, 200, 64), size=(9, 64, 64)).astype(np.uint16)
    tifffile.imwrite(folder / "frames.tif", frames, metadata={"axes": "TYX"})
    assert main(["image", "calibrate", str(folder / "frames.tif"), "--repeats", "--offset", "0"]) == 0
    assert "gain 1.0" in capsys.readouterr().out.replace("gain 0.99", "gain 1.0")


def test_evaluate_scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(folder / f"{name}.tif") for name in ("clean", "noisy", "worse")]
    assert main(["image", "evaluate", *names, "--data-range", "255"]) == 0
    out = capsys.readouterr().out
    for name in names[1:]:
        expected = psnr(tifffile.imread(names[0]), tifffile.imread(name), data_range=255)
        assert f"{expected:.4g}" in out


def test_what_cannot_be_scored_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(folder / "small.tif", np.zeros((8, 8), dtype=np.uint8), metadata={"axes": "YX"})
    assert main(["image", "evaluate", str(folder / "clean.tif"), str(folder / "small.tif")]) == 2
    assert "small.tif holds (1, 1, 8, 8)" in capsys.readouterr().err
    assert main(["image", "calibrate", str(folder / "absent.tif")]) == 2


def test_options_that_are_not_given_are_those_of_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops of volumes are flat: a side for images, taken for depth as well, would cost a hundred times more."""
    import inspect

    seen: dict = {}
    monkeypatch.setattr(ImageDenoiser, "fit", lambda self, images, **options: seen.update(options) or self)
    monkeypatch.setattr(ImageDenoiser, "denoise", lambda self, images, **options: [])
    assert main(["image", "denoise", str(folder / "noisy.tif"), "--ndim", "3"]) == 0
    monkeypatch.undo()
    library = inspect.signature(ImageDenoiser.fit).parameters
    assert {name: seen[name] for name in ("max_steps", "batch_size", "patch")} == {
        name: library[name].default for name in ("max_steps", "batch_size", "patch")
    }
