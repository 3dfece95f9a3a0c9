"""Laws of movies: which frames go with a frame, the risk given them, and images without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from scif.core.noise import Gaussian, Poisson
from scif.fields.images import ImageDenoiser, psnr
from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._contrast import NoiseContrast
from scif.fields.images._frames import _steps, count_frames, read_frames
from scif.fields.images._risk import UnbiasedRisk

SHORT = {"max_steps": 3, "batch_size": 3, "patch": 16}
TINY = {"widths": (4, 6), "num_steps": 3}


def movie(frames: int, sigma: float = 20.0, side: int = 40) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    clean = 100 + 60 * np.sin(x / 3) * np.cos(y / 4)
    return (clean + sigma * np.random.default_rng(0).normal(size=(frames, side, side))).astype(np.float32)


@pytest.mark.parametrize(
    ("time", "frames", "count", "steps"),
    [
        (3, 7, 2, [-2, -1, 1, 2]),
        (0, 7, 2, [2, 1, 1, 2]),
        (1, 7, 2, [2, -1, 1, 2]),
        (6, 7, 1, [-1, -1]),
        (0, 2, 3, [1, 1, 1, 1, 1, 1]),
        (1, 3, 2, [-1, -1, 1, 1]),
    ],
)
def test_frames_beyond_an_end_are_mirrored_and_never_the_frame_itself(
    time: int, frames: int, count: int, steps: list[int]
) -> None:
    found = _steps(time, frames, count)
    assert 0 not in found
    assert all(0 <= time + by < frames for by in found)
    assert found == steps


def test_frames_are_of_the_same_movie_in_order() -> None:
    values = np.arange(2 * 5 * 3).reshape(2, 5, 3)[..., None, None] * np.ones((9, 9))
    stack = ImageStack(values, Axes("PTCYX"))
    index = 5 + 2  # the third frame of the second movie
    seen = read_frames(stack, index, [slice(0, 4), slice(-2, 2)], count=2)
    assert seen.shape == (15, 4, 4)
    expected = np.concatenate([values[1, t, :, 0, 0] for t in (2, 0, 1, 3, 4)])
    np.testing.assert_array_equal(seen[:, 0, 0], expected)
    np.testing.assert_array_equal(read_frames(stack, index, count=0), stack.read(index))


@pytest.mark.parametrize("noise", [Gaussian(1.0), Poisson(0.5)])
def test_the_risk_given_other_frames_is_that_of_the_image(noise: Gaussian) -> None:
    """Noise of the other frames is an input as any: the expectation is the error against the image's own truth."""
    rng = torch.Generator().manual_seed(0)
    x0 = 4 + 2 * torch.rand(20_000, 1, 2, 2, generator=rng)
    x1, around = (noise.sample(x0, generator=rng) for _ in range(2))

    def model(x: Tensor, t: Tensor, *, around: Tensor) -> Tensor:
        return 0.5 * x + 0.4 * around + 0.02 * x * around

    risk = UnbiasedRisk(noise).pointwise(model, x1, generator=rng, around=around)
    now = torch.ones(len(x1))
    f, v = 0.9, noise.moments(x0).variance
    of_y = model(x1, now, around=around)
    more = ((0.5 + 0.02 * around) ** 2 * v * (1 - f) / f).mean()  # of the noise that the split adds
    truth = (of_y - x0).square().mean() + more
    assert float(risk.mean()) == pytest.approx(float(truth), abs=4 * float(risk.std()) / len(risk) ** 0.5)


def test_noise_that_lasts_makes_the_risk_too_low_by_what_is_copied() -> None:
    """A weight on another frame whose noise has correlation r is rewarded by 2 r times it: the noise stays."""
    rng, weight, lasting = torch.Generator().manual_seed(0), 0.4, 0.5
    x0 = torch.randn(40_000, 1, 2, 2, generator=rng)
    noise, more = (torch.randn(x0.shape, generator=rng) for _ in range(2))
    x1, around = x0 + noise, x0 + lasting * noise + (1 - lasting**2) ** 0.5 * more

    def model(x: Tensor, t: Tensor, *, around: Tensor) -> Tensor:
        return 0.5 * x + weight * around

    risk = UnbiasedRisk(Gaussian(1.0)).pointwise(model, x1, generator=rng, around=around).mean()
    truth = (model(x1, x1, around=around) - x0).square().mean() + 0.25 / 9  # of the noise that the split adds
    assert float(truth - risk) == pytest.approx(2 * lasting * weight, abs=0.02)


def test_movies_see_neighbours_by_default_and_other_images_do_not() -> None:
    noisy = movie(4)
    assert ImageDenoiser(Gaussian(20.0), **TINY).fit(noisy, axes="TYX", **SHORT).settings.neighbour_frames == 2
    assert ImageDenoiser(Gaussian(20.0), **TINY).fit(noisy, **SHORT).settings.neighbour_frames == 0
    both = ImageDenoiser(Gaussian(20.0), **TINY).fit([noisy, noisy[:1] + 1], axes="TYX", **SHORT)
    assert both.settings.neighbour_frames == 0


def test_unrelated_images_are_no_movie() -> None:
    rng = np.random.default_rng(0)
    scenes = ndimage.gaussian_filter(rng.normal(size=(12, 96, 96)), (0, 5, 5))
    scenes = 100 * scenes / scenes.std() + np.linspace(0, 300, 96)  # with one illumination
    noise = 30 * rng.normal(size=scenes.shape)
    stack = ImageStack(scenes + noise, Axes("TYX"))
    assert count_frames("auto", [stack], own_network=False) == 0
    assert count_frames(1, [stack], own_network=False) == 1
    moving = np.stack([np.roll(scenes[0], 3 * k, axis=1) for k in range(12)]) + noise
    assert count_frames("auto", [ImageStack(moving, Axes("TYX"))], own_network=False) == 2
    blank = ImageStack(np.zeros((3, 32, 32)), Axes("TYX"))
    assert count_frames("auto", [blank], own_network=False) == 0


def test_other_lengths_and_single_images_are_denoised(tmp_path: Path) -> None:
    noisy = movie(5)
    denoiser = ImageDenoiser(Gaussian(20.0), neighbour_frames=2, **TINY).fit(noisy, axes="TYX", **SHORT)
    whole = denoiser.denoise(noisy, axes="TYX")
    np.testing.assert_array_equal(denoiser.denoise(noisy[:4], axes="TYX")[:2], whole[:2])
    assert np.isfinite(denoiser.denoise(noisy[:2], axes="TYX")).all()
    alone = denoiser.denoise(noisy[2])
    np.testing.assert_array_equal(denoiser.denoise(noisy[2:3], axes="TYX")[0], alone)
    assert not np.array_equal(whole[2], alone)
    with pytest.warns(UserWarning, match="no axis of the images"):
        np.testing.assert_array_equal(denoiser.denoise(noisy)[2], alone)
    image, std = denoiser.denoise(noisy, axes="TYX", return_std=True)
    np.testing.assert_array_equal(image, whole)
    assert (std > 0).all()
    assert denoiser.report(noisy, axes="TYX").risk["scif"] > 0
    denoiser.save(tmp_path / "a.safetensors")
    again = ImageDenoiser.load(tmp_path / "a.safetensors")
    assert again.neighbour_frames == 2
    np.testing.assert_array_equal(again.denoise(noisy, axes="TYX"), whole)


def test_contrast_is_that_of_each_frame(tmp_path: Path) -> None:
    noisy = movie(4) * np.geomspace(1, 3000, 4, dtype=np.float32)[:, None, None]
    denoiser = ImageDenoiser(Gaussian(20.0), **TINY).fit(noisy, axes="TYX", **SHORT)
    assert isinstance(denoiser.restorers_[0].model.net, NoiseContrast)
    denoiser.save(tmp_path / "a.safetensors")
    again = ImageDenoiser.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.denoise(noisy, axes="TYX"), denoiser.denoise(noisy, axes="TYX"))
    assert np.isfinite(denoiser.denoise(noisy[0])).all()


@pytest.mark.parametrize("options", [{"method": "ifm"}, {"anchor_weight": 0.0}, {"channels": "apart"}])
def test_every_kind_of_training_sees_them(options: dict) -> None:
    noisy = np.stack([movie(3), movie(3)[::-1]], axis=1)
    denoiser = ImageDenoiser(Gaussian(20.0), **TINY, **options).fit(noisy, axes="TCYX", **SHORT)
    assert denoiser.settings.neighbour_frames == 2
    assert np.isfinite(denoiser.denoise(noisy, axes="TCYX")).all()
    if options == {"method": "ifm"}:
        assert np.isfinite(denoiser.denoise(noisy, axes="TCYX", estimator="transport")).all()


@pytest.mark.trains
def test_a_still_scene_gains_by_its_neighbours() -> None:
    noisy = movie(8, sigma=40.0, side=48)
    clean = movie(8, sigma=0.0, side=48)
    gain = []
    for count in (0, 2):
        denoiser = ImageDenoiser(Gaussian(40.0), widths=(8, 12), num_steps=3, neighbour_frames=count)
        denoiser.fit(noisy, axes="TYX", max_steps=80, batch_size=6, patch=24, lr=1e-2, ema_decay=0.9)
        gain.append(psnr(clean, denoiser.denoise(noisy, axes="TYX"), data_range=255))
    assert gain[1] > gain[0] + 0.5


@pytest.mark.parametrize(
    ("options", "axes", "says"),
    [
        ({"neighbour_frames": 1}, None, "no second frame"),
        ({"neighbour_frames": 1, "network": lambda channels: torch.nn.Identity()}, "TYX", "own network"),
        ({"neighbour_frames": -1}, "TYX", "neighbour_frames is -1"),
    ],
)
def test_what_cannot_be_seen_is_refused(options: dict, axes: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ImageDenoiser(Gaussian(20.0), **TINY, **options).fit(movie(3), axes=axes, **SHORT)
