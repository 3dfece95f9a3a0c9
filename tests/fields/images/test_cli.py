"""``scif image``: what it writes, what it prints, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from scif.cli import main
from scif.fields.images import ImageDenoiser, psnr

FAST = ["--max-steps", "2", "--batch-size", "8", "--patch", "32", "--noise", "gaussian"]


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
    tifffile.imwrite(folder / "volume.tif", np.zeros((4, 8, 9), dtype=np.uint8), metadata={"axes": "ZYX"})
    assert main(["image", "denoise", str(folder / "volume.tif"), "--ndim", "3"]) == 0
    monkeypatch.undo()
    library = inspect.signature(ImageDenoiser.fit).parameters
    for name in ("max_steps", "batch_size", "patch", "lr"):
        assert seen.get(name, library[name].default) == library[name].default


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    return said


@pytest.mark.trains
def test_noise_can_be_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noisy, model = str(folder / "noisy.tif"), folder / "m.safetensors"
    train = ["--max-steps", "2", "--batch-size", "8", "--patch", "32", "--widths", "4,8", "--overwrite"]
    known = {
        "Gaussian": ["--sigma", "15"],
        "Poisson": ["--gain", "2"],
        "PoissonGaussian": ["--gain", "2", "--offset", "10", "--read-noise", "3"],
    }
    for kind, options in known.items():
        assert main(["image", "denoise", noisy, *train, *options, "--save-model", str(model)]) == 0
        assert type(ImageDenoiser.load(model).noise_[0]).__name__ == kind
    assert ImageDenoiser.load(model).settings.widths == (4, 8)
    assert float(ImageDenoiser.load(model).noise_[0].gain) == 2
    capsys.readouterr()
    for wrong in (["--sigma", "5", "--gain", "2"], ["--offset", "5"], ["--sigma", "-1"], ["--sigma", "nan"]):
        assert main(["image", "denoise", noisy, *train, *wrong]) == 2
        assert "sigma" in one_line(capsys)
    assert main(["image", "denoise", noisy, *train, "--noise", "poisson", "--sigma", "5"]) == 2


@pytest.mark.trains
def test_what_calibrate_writes_denoise_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, found = np.random.default_rng(0), folder / "noise.json"
    frames = rng.poisson(np.linspace(5, 200, 64), size=(9, 2, 64, 64)) * np.array([2, 3])[:, None, None] + 100
    path = folder / "frames.tif"
    tifffile.imwrite(path, frames.astype(np.uint16), metadata={"axes": "TCYX"}, photometric="minisblack")
    options = ["--repeats", "--offset", "100", "--out", str(found)]
    assert main(["image", "calibrate", str(path), *options]) == 0
    assert main(["image", "calibrate", str(path), *options]) == 2  # exists
    train = ["--max-steps", "2", "--batch-size", "8", "--patch", "32", "--save-model", str(folder / "m.safetensors")]
    assert main(["image", "denoise", str(path), "--noise", str(found), *train]) == 0
    noise = ImageDenoiser.load(folder / "m.safetensors").noise_[0]
    assert noise.gain.flatten().tolist() == pytest.approx([2, 3], rel=0.1)
    capsys.readouterr()
    found.write_text("{}")
    assert main(["image", "denoise", str(path), "--noise", str(found), "--overwrite", *train]) == 2
    assert "noise.json" in one_line(capsys)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--max-steps", "0"], "--max-steps is 0"),
        (["--max-steps", "-1"], "--max-steps is -1"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--widths", "a,b"], "--widths"),
        (["--dtype", "nonsense"], "--dtype"),
        (["--noise", "nonsense"], "'nonsense'"),
        (["--save-model", "nowhere/m.safetensors"], "nowhere"),
        (["--estimator", "transport"], "estimator"),
        (["--series", "3"], "series is 3"),
    ],
)
def test_refused_in_one_line_before_training(
    options: list[str],
    named: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(path.name for path in folder.iterdir())
    assert main(["image", "denoise", str(folder / "noisy.tif"), *options]) == 2
    assert named in one_line(capsys)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_two_images_of_one_name_are_refused_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "day2").mkdir()
    (folder / "day2" / "noisy.tif").write_bytes((folder / "noisy.tif").read_bytes())
    monkeypatch.setattr(ImageDenoiser, "fit", lambda *a, **k: pytest.fail("trained"))
    files = [str(folder / "noisy.tif"), str(folder / "day2" / "noisy.tif")]
    for extra in ([], ["--overwrite"]):
        assert main(["image", "denoise", *files, "--out", str(folder / "out"), *extra]) == 2
        assert "both be written" in one_line(capsys)
    cut = folder / "cut.tif"
    cut.write_bytes((folder / "noisy.tif").read_bytes()[:4000])
    assert main(["image", "denoise", str(folder / "noisy.tif"), str(cut)]) == 2
    assert "cut.tif" in one_line(capsys)


def test_progress_in_a_log_is_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "denoise", str(folder / "noisy.tif"), *FAST]) == 0
    said = capsys.readouterr()
    assert "Training: 2 steps at most" in said.err
    assert "done after 2 steps" in said.err
    assert "\r" not in said.err + said.out
    assert "Epoch" not in said.err + said.out
