"""Pixels that are no measurement change neither the calibration nor the rest of the result."""

from __future__ import annotations

import numpy as np
import pytest

from scif.core.noise import PoissonGaussian
from scif.fields.images import ImageDenoiser, calibrate_poisson_gaussian
from scif.fields.images._mask import Unmeasured


@pytest.fixture(scope="module")
def micrograph() -> np.ndarray:
    """A camera's picture of gain 2, offset 100 and read noise 3."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:256, 0:256] / 256
    scene = 60 + 50 * np.sin(7 * x) * np.cos(6 * y)
    return (100 + 2 * rng.poisson(scene / 2) + rng.normal(0, 3, scene.shape)).round()


def wedge(image: np.ndarray, value: float = 0.0) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    return np.where(columns < 0.6 * rows, value, image)


def hot(image: np.ndarray, share: float) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(image.shape) < share, 65535.0, image)


@pytest.mark.parametrize(
    "spoil",
    [wedge, lambda x: hot(x, 0.001), lambda x: hot(x, 0.01), lambda x: np.stack([x, 0 * x, x])],
    ids=["wedge of 30%", "0.1% hot", "1% hot", "blank frame"],
)
def test_a_camera_is_calibrated_as_without_them(micrograph: np.ndarray, spoil: object) -> None:
    clean = calibrate_poisson_gaussian(micrograph, offset=100)
    found = calibrate_poisson_gaussian(spoil(micrograph), offset=100)  # type: ignore[operator]
    assert found.gain == pytest.approx(clean.gain, rel=0.1)
    assert found.gain == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("value", "dtype"), [(100, np.uint8), (100, np.uint16), (0, np.float32), (-7.25, np.float64)])
def test_padding_need_not_be_the_darkest_or_brightest_value(micrograph: np.ndarray, value: float, dtype: type) -> None:
    """Nor is every flat piece of an image without visible noise padding."""
    image = (micrograph / 2).astype(dtype) if dtype in (np.uint8, np.uint16) else (micrograph - 150).astype(dtype)
    rows, columns = np.indices(image.shape)
    padded = np.where((columns < 0.1 * rows) | (rows >= 230), np.asarray(value, dtype), image)
    found = Unmeasured.find([padded])
    assert found.padding == (value,)
    assert found.constant_share == pytest.approx(float((padded == value).mean()), abs=0.02)
    assert not Unmeasured.find([image])


@pytest.mark.parametrize("rate", [0.005, 0.1, 0.6, 3.0])
def test_few_photons_are_no_padding(rate: float) -> None:
    dark = np.random.default_rng(0).poisson(rate, size=(256, 256))
    assert not Unmeasured.find([dark])


def test_spots_are_not_hot() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-8:9, -8:9]
    spot = 2000 * np.exp(-(x**2 + y**2) / 2)
    image = np.tile(np.pad(spot, 8), (8, 8))
    assert not Unmeasured.find([rng.poisson(image + 5) + rng.normal(0, 2, image.shape)])


def test_a_mirror_image_fills_padding_and_a_neighbour_hot_pixels(micrograph: np.ndarray) -> None:
    spoilt = hot(wedge(micrograph), 0.01)
    spoilt[wedge(np.ones_like(micrograph)) == 0] = 0
    found = Unmeasured.find([spoilt])
    mended, mask = found.mend(spoilt)
    assert (mask.constant | (spoilt > 0)).all()
    assert mask.constant.mean() < 0.32
    assert mended.min() > 90
    assert mended.max() < 500
    np.testing.assert_array_equal(mended[~mask.constant & ~mask.hot], spoilt[~mask.constant & ~mask.hot])


@pytest.mark.trains
def test_denoising_keeps_padding_and_blank_frames_and_says_so(micrograph: np.ndarray) -> None:
    stack = np.stack([hot(wedge(micrograph), 0.001), np.zeros_like(micrograph)]).astype(np.uint16)
    stack[0][wedge(np.ones_like(micrograph)) == 0] = 0
    denoiser = ImageDenoiser(PoissonGaussian(2.0, 3.0, offset=100.0), widths=(2, 4))
    with pytest.warns(UserWarning, match=r"padding, blank or saturated.*hot pixels.*filled"):
        denoiser.fit(stack, max_steps=2, batch_size=2, patch=96)
    with pytest.warns(UserWarning, match="padding"):
        result = denoiser.denoise(stack)
    assert (result[1] == 0).all()
    padded = wedge(np.ones_like(micrograph)) == 0
    assert (result[0][padded] == 0).mean() > 0.99  # but for tips narrower than five pixels
    assert result[0][~padded].max() < 1000
