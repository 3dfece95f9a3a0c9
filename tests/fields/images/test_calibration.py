"""Calibration recovers the noise that was put in, and ``calibrate`` names its kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._channel import find_noise
from scif.fields.images.calibration import (
    calibrate,
    calibrate_correlated,
    calibrate_gaussian,
    calibrate_poisson_gaussian,
)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Smooth shapes from 20 to 220, sharp edges and a textured corner."""
    y, x = np.mgrid[0:512, 0:512] / 512
    image = 120 + 100 * np.sin(7 * x) * np.cos(6 * y)
    image[100:200, 300:420] = 200
    image[400:, 400:] += 15 * np.sin(np.arange(112) * 2.5)
    return image


@pytest.mark.parametrize("sigma", [2.0, 25.0])
def test_gaussian(scene: np.ndarray, sigma: float) -> None:
    noisy = scene + np.random.default_rng(0).normal(scale=sigma, size=scene.shape)
    assert calibrate_gaussian(noisy).sigma == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize(("gain", "offset", "read_noise"), [(2.0, 100.0, 10.0), (0.5, 0.0, 4.0), (1.0, 50.0, 0.0)])
def test_camera_from_one_image(scene: np.ndarray, gain: float, offset: float, read_noise: float) -> None:
    rng = np.random.default_rng(0)
    noisy = gain * rng.poisson(scene / gain) + offset + rng.normal(scale=read_noise, size=scene.shape)
    found = calibrate_poisson_gaussian(noisy, offset=offset)
    assert found.gain == pytest.approx(gain, rel=0.1)
    assert found.offset == offset
    assert found.read_noise**2 == pytest.approx(read_noise**2, abs=15 * gain + 0.1 * read_noise**2)


def test_camera_from_repeats_is_sharper_and_needs_no_smoothness() -> None:
    rng = np.random.default_rng(0)
    rough = rng.uniform(10, 400, size=(128, 128))
    frames = 1.7 * rng.poisson(rough / 1.7, size=(16, 128, 128)) + 30 + rng.normal(scale=5, size=(16, 128, 128))
    found = calibrate_poisson_gaussian(frames, repeats=True, offset=30)
    assert found.gain == pytest.approx(1.7, rel=0.01)
    assert found.read_noise == pytest.approx(5, rel=0.1)
    assert abs(found.gain - 1.7) < 5 * found.gain_error


def test_saturated_pixels_do_not_lower_the_gain(scene: np.ndarray) -> None:
    noisy = np.minimum(2.0 * np.random.default_rng(0).poisson(scene / 2), 200)
    assert calibrate_poisson_gaussian(noisy, offset=0).gain == pytest.approx(2, rel=0.15)


def blurred_noise(shape: tuple[int, int], kernel: np.ndarray, *, seed: int = 0) -> np.ndarray:
    return ndimage.convolve(np.random.default_rng(seed).normal(size=shape), kernel, mode="wrap")


def test_correlation_and_spectrum_of_a_known_kernel() -> None:
    kernel = np.outer([1, 2, 1], [0, 3, 1]) / 6.0
    found = calibrate_correlated(blurred_noise((512, 512), kernel), background=(slice(0, 512), slice(0, 512)))
    variance = (kernel**2).sum()
    assert found.sigma == pytest.approx(np.sqrt(variance), rel=0.02)
    expected = ndimage.correlate(np.pad(kernel, 7), kernel, mode="constant")[:17, :17] / variance
    np.testing.assert_allclose(found.autocorrelation, expected, atol=0.02)
    spectrum = found.spectrum((64, 48))
    assert spectrum.mean() == pytest.approx(found.sigma**2)
    truth = np.abs(np.fft.fft2(kernel, s=(64, 48))) ** 2
    assert np.corrcoef(spectrum.ravel(), truth.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("span", [0.0, 0.6, 0.8, 1.5])
@pytest.mark.parametrize("side", [192, 384])
def test_noise_on_an_empty_field_is_as_strong_as_it_is(span: float, side: int) -> None:
    """Neither the choice of quiet tiles nor the trend that each of them loses takes noise away: 3 to 18% of it once."""
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(side, side)), span, mode="wrap")
    noise *= 10 / noise.std()
    found = calibrate_correlated(100 + np.linspace(0, 3, side) + noise)
    assert found.sigma == pytest.approx(10, rel=0.03)
    assert found.autocorrelation[8, 9] == pytest.approx(np.mean(noise * np.roll(noise, 1, axis=1)) / 100, abs=0.03)


def test_even_texture_is_no_empty_field() -> None:
    """Its variance is the same everywhere, its neighbours correlate as those of noise do: its pixels tell it."""
    rng = np.random.default_rng(0)
    texture = np.maximum(ndimage.gaussian_filter(rng.normal(size=(256, 256)), 1.5), 0)
    noise = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 1.5)
    found = calibrate_correlated(100 + 30 * texture / texture.std() + 5 * noise / noise.std())
    assert found.tiles == 8
    assert found.sigma < 30


def test_background_is_found(scene: np.ndarray) -> None:
    kernel = np.ones((3, 3)) / 3
    empty = scene.copy()
    empty[:, :256] = 20
    found = calibrate_correlated(empty + 8 * blurred_noise(scene.shape, kernel))
    assert found.sigma == pytest.approx(8, rel=0.1)
    assert found.neighbours == pytest.approx(2 / 3, abs=0.06)


@pytest.mark.parametrize("kind", ["gaussian", "correlated_gaussian", "poisson", "poisson_gaussian"])
def test_calibrate_names_the_kind(scene: np.ndarray, kind: str) -> None:
    rng = np.random.default_rng(1)
    noisy = {
        "gaussian": lambda: scene + rng.normal(scale=12, size=scene.shape),
        "correlated_gaussian": lambda: scene + 12 * blurred_noise(scene.shape, np.ones((2, 2)) / 2),
        "poisson": lambda: 3.0 * rng.poisson(scene / 3),
        "poisson_gaussian": lambda: 3.0 * rng.poisson(scene / 3) + 200 + rng.normal(scale=6, size=scene.shape),
    }[kind]()
    found = calibrate(noisy)
    assert found.kind == kind
    assert kind.split("_")[0].capitalize() in str(found) or kind == "correlated_gaussian"


def test_too_small_for_more_than_sigma_is_still_gaussian() -> None:
    found = calibrate(np.random.default_rng(0).normal(size=(20, 20)))
    assert (found.kind, found.poisson_gaussian, found.correlated) == ("gaussian", None, None)


def test_plots_show_what_was_measured(scene: np.ndarray) -> None:
    import matplotlib.pyplot as plt

    found = calibrate(scene + np.random.default_rng(0).normal(scale=12, size=scene.shape))
    figure = found.plot()
    histogram, camera, correlation = (figure.axes[k] for k in range(3))
    assert len(histogram.patches) == 100
    assert camera.lines[0].get_ydata().tolist() == found.poisson_gaussian.variances.tolist()
    np.testing.assert_array_equal(correlation.images[0].get_array(), found.correlated.autocorrelation)
    plt.close(figure)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(8, 8\)"):
        calibrate(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="1 values that are NaN"):
        calibrate(np.where(np.eye(64) * np.arange(64) == 5, np.nan, 0))
    with pytest.raises(ValueError, match="no detectable noise"):
        calibrate_gaussian(np.ones((64, 64)))
    with pytest.raises(ValueError, match="two or more"):
        calibrate_poisson_gaussian(np.zeros((64, 64)), repeats=True)
    with pytest.raises(ValueError, match="background"):
        calibrate_correlated(np.zeros((64, 64)), background=(slice(0, 10), slice(0, 64)))


def test_images_of_different_gain_are_refused_with_the_mend() -> None:
    rng = np.random.default_rng(0)
    scene = np.tile(np.linspace(2, 40, 256), (256, 1))
    images = [gain * rng.poisson(scene).astype("float32") for gain in (2.0, 8.0)]
    with pytest.raises(ValueError, match=r"different gains: .* \(image 0\), .*Divide each"):
        find_noise("poisson_gaussian", [ImageStack(one, Axes("YX")) for one in images])


@pytest.mark.parametrize("sigma", [5.0, 10.0])
def test_white_noise_on_a_texture_is_not_taken_for_correlated(sigma: float) -> None:
    data = pytest.importorskip("skimage.data")
    rng = np.random.default_rng(0)
    texture = data.grass().astype(float)[:192, :192]
    found = calibrate(texture + sigma * rng.normal(size=texture.shape))
    assert found.kind != "correlated_gaussian"


@pytest.mark.parametrize("seed", range(3))
def test_fine_texture_everywhere_is_not_taken_for_noise(seed: int) -> None:
    """Nearly white, in every place: only its contrast, which differs from place to place, tells it from noise."""
    rng = np.random.default_rng(seed)
    place = ndimage.gaussian_filter(rng.normal(size=(384, 384)), 2.5)
    texture = 12 * np.exp(0.7 * place / place.std()) * ndimage.gaussian_filter(rng.normal(size=place.shape), 0.45)
    assert 4.5 < calibrate_gaussian(100 + texture + 5 * rng.normal(size=place.shape)).sigma < 5.5


def movie(noise: str, frames: int = 4) -> np.ndarray:
    """A texture that stands still, as bright on the right as eleven times the left."""
    rng = np.random.default_rng(0)
    texture = np.exp(0.4 * ndimage.gaussian_filter(rng.normal(size=(192, 192)), 0.5)) * np.linspace(20, 220, 192)
    if noise == "poisson":
        return 2.0 * rng.poisson(texture / 2.0, size=(frames, *texture.shape)).astype(float)
    return texture + 5.0 * rng.normal(size=(frames, *texture.shape))


def test_differences_of_frames_tell_the_noise_of_a_movie_from_its_texture() -> None:
    with pytest.warns(UserWarning, match="found Gaussian"):
        found = find_noise("auto", [ImageStack(movie("gaussian"), Axes("TYX"))])
    assert abs(float(found.noise.sigma) - 5) < 0.25
    with pytest.warns(UserWarning, match="found Poisson"):
        found = find_noise("auto", [ImageStack(movie("poisson"), Axes("TYX"))])
    assert abs(float(found.noise.gain) - 2) < 0.3  # 6.6 in the frames themselves


@pytest.mark.parametrize("moves", [False, True])
def test_brightness_of_movies_is_told_apart_where_it_changes_within_a_few_pixels(moves: bool) -> None:
    rng = np.random.default_rng(0)
    scenes = np.stack([ndimage.gaussian_filter(rng.normal(size=(192, 192)), 4) for _ in range(4)])
    photons = 20 + 40 * np.maximum(scenes if moves else scenes[:1].repeat(4, 0), 0) / scenes.std()
    frames = 100 + 2.0 * rng.poisson(photons / 2) + rng.normal(0, 3, photons.shape)
    camera = find_noise("poisson_gaussian", [ImageStack(frames, Axes("TYX"))]).calibrations[0].poisson_gaussian
    assert camera is not None
    assert camera.gain == pytest.approx(2, rel=0.15)  # 0.7 from brightness smoothed over twice a block


def test_frames_that_are_there_twice_do_not_hide_the_noise() -> None:
    frames = movie("gaussian")[[0, 0, 1, 1]]
    with pytest.warns(UserWarning, match="found Gaussian"):
        found = find_noise("auto", [ImageStack(frames, Axes("TYX"))])
    assert abs(float(found.noise.sigma) - 5) < 0.5
    with pytest.warns(UserWarning, match="found"):
        find_noise("auto", [ImageStack(frames[:2], Axes("TYX"))])


def test_correlated_noise_is_told_from_texture_in_every_place() -> None:
    """By the contrast of the texture, which differs from place to place; without any it is what it was."""
    rng = np.random.default_rng(0)
    place = ndimage.gaussian_filter(rng.normal(size=(384, 384)), 2.5)
    texture = np.exp(0.7 * place / place.std()) * ndimage.gaussian_filter(rng.normal(size=place.shape), 0.45)
    noise = ndimage.gaussian_filter(rng.normal(size=place.shape), 0.8)
    noise *= 10 / noise.std()
    assert abs(calibrate_correlated(100 + noise).sigma - 10) < 1
    assert calibrate_correlated(100 + 12 * texture + noise).sigma < 12


def test_gain_that_few_small_frames_do_not_show_by_their_differences_is_measured_on_the_frames() -> None:
    scene = np.random.default_rng(0).poisson(50.0 + 20.0 * np.sin(np.arange(64) / 6), (3, 64, 64)).astype(np.uint16)
    found = find_noise("poisson_gaussian", [ImageStack(scene, Axes("TYX"))])
    assert found.calibrations[0].poisson_gaussian is not None
    assert 0.5 < found.calibrations[0].poisson_gaussian.gain < 2.0
