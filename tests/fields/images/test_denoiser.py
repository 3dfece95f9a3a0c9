"""Laws of the denoiser: scale, axes, tiles, files, seeds and what is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr

from scif.core.noise import CorrelatedGaussian, Gamma, Gaussian, Jacobi, Poisson, PoissonGaussian, Simulator
from scif.fields.images import ImageDenoiser, psnr
from scif.fields.images._channel import flip_axes

TINY = {"widths": (4, 6), "num_steps": 3}
SHORT = {"max_steps": 4, "batch_size": 3, "patch": 24, "lr": 5e-3, "ema_decay": 0.5}


def scene(*shape: int) -> np.ndarray:
    grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return 120 + 70 * np.sin(grids[-1] / 5) * np.cos(grids[-2] / 7)


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    """Three frames of two channels, T C Y X, sigma 20."""
    rng = np.random.default_rng(0)
    return (scene(40, 52) + 20 * rng.normal(size=(3, 2, 40, 52))).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(noisy: np.ndarray) -> ImageDenoiser:
    return ImageDenoiser(Gaussian(20.0), **TINY).fit(noisy, axes="TCYX", **SHORT)


def fit(noise: object, images: np.ndarray, **options: object) -> ImageDenoiser:
    return ImageDenoiser(noise, **{**TINY, **options}).fit(images, **SHORT)


@pytest.mark.trains
def test_learns_to_denoise_from_noise_alone() -> None:
    rng = np.random.default_rng(0)
    clean = scene(64, 64)
    images = clean + 25 * rng.normal(size=(12, 64, 64))
    denoiser = ImageDenoiser(Gaussian(25.0), widths=(8, 12), num_steps=3)
    denoiser.fit(images, max_steps=60, batch_size=6, patch=24, lr=1e-2, ema_decay=0.9)
    gains = [
        psnr(clean, after) - psnr(clean, before) for before, after in zip(images, denoiser.denoise(images), strict=True)
    ]
    assert min(gains) > 8
    curve = denoiser.history_[0]["train_anchor"]
    assert curve[-1] < 0.5 * curve[0]


@pytest.mark.trains
@pytest.mark.parametrize("estimator", ["mean", "transport"])
def test_same_scale_out(noisy: np.ndarray, estimator: str) -> None:
    """Images in other units give the same result in these units; a shift comes out as a shift."""
    one = fit(Gaussian(20.0), noisy[:, 0], method="ifm").denoise(noisy[:, 0], estimator=estimator)
    other = fit(Gaussian(200.0), 10 * noisy[:, 0] + 500, method="ifm").denoise(
        10 * noisy[:, 0] + 500, estimator=estimator
    )
    np.testing.assert_allclose((other - 500) / 10, one, atol=0.05)
    assert one.mean() == pytest.approx(noisy[:, 0].mean(), rel=0.02)


@pytest.mark.trains
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_dtype_is_kept(noisy: np.ndarray, fitted: ImageDenoiser, dtype: type) -> None:
    images = noisy.clip(0, 255).astype(dtype)
    result = fitted.denoise(images, axes="TCYX")
    assert (result.dtype, result.shape) == (np.dtype(dtype), images.shape)
    exact = fitted.denoise(images, axes="TCYX", dtype="float64")
    np.testing.assert_allclose(result, exact, atol=0.51 if np.issubdtype(dtype, np.integer) else 1e-4)


def test_order_of_axes_does_not_matter(noisy: np.ndarray, fitted: ImageDenoiser) -> None:
    result = fitted.denoise(noisy, axes="TCYX")
    moved = fitted.denoise(noisy.transpose(2, 0, 3, 1), axes="ytxc")
    np.testing.assert_array_equal(moved.transpose(1, 3, 0, 2), result)
    np.testing.assert_array_equal(fitted.denoise(noisy[:, None], axes="TPCYX")[:, 0], result)


def test_tiles_leave_no_trace(noisy: np.ndarray, fitted: ImageDenoiser) -> None:
    whole = fitted.denoise(noisy, axes="TCYX", tile=400, overlap=32)
    tiled = fitted.denoise(noisy, axes="TCYX", tile=(48, 46), overlap=32, batch_size=2)
    np.testing.assert_allclose(tiled, whole, atol=2e-2)


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_mirror_image_is_denoised_to_the_mirror_image(noisy: np.ndarray, fitted: ImageDenoiser, axis: int) -> None:
    """By symmetry of the average; without it the network need not be symmetric."""
    image = noisy[0]
    mirrored = np.ascontiguousarray(np.flip(image, axis))
    options = [{"augment": on, "axes": "CYX", "dtype": "float32"} for on in (True, False)]
    averaged, plain = (
        np.abs(fitted.denoise(mirrored, **o) - np.flip(fitted.denoise(image, **o), axis)) for o in options
    )
    assert averaged.max() < 1e-3 < 1e-2 < plain.max()


def test_the_mean_over_mirror_images_is_that_of_single_calls(noisy: np.ndarray, fitted: ImageDenoiser) -> None:
    restorer = fitted.restorers_[0]
    single = [
        np.flip(restorer.restore(np.ascontiguousarray(np.flip(noisy, axes))), axes)
        for axes in ((), (-1,), (-2,), (-2, -1))
    ]
    np.testing.assert_allclose(restorer.restore(noisy, augment=True), np.mean(single, axis=0), atol=1e-3)


def test_any_size_and_lists(fitted: ImageDenoiser) -> None:
    images = [
        np.random.default_rng(k).normal(120, 30, size=(2, *size)) for k, size in enumerate([(1, 9), (33, 7), (40, 41)])
    ]
    results = fitted.denoise(images, axes="CYX")
    assert [one.shape for one in results] == [one.shape for one in images]
    assert all(np.isfinite(one).all() for one in results)


@pytest.mark.trains
def test_channels_apart_are_separate_denoisers(noisy: np.ndarray) -> None:
    apart = ImageDenoiser(Gaussian(20.0), channels="apart", **TINY).fit(noisy, axes="TCYX", **SHORT)
    result = apart.denoise(noisy, axes="TCYX")
    for c in range(2):
        alone = ImageDenoiser(Gaussian(20.0), **TINY).fit(np.ascontiguousarray(noisy[:, c]), axes="TYX", **SHORT)
        np.testing.assert_array_equal(result[:, c], alone.denoise(noisy[:, c], axes="TYX"))


@pytest.mark.trains
def test_the_seed_decides_and_the_global_generator_is_left_alone(noisy: np.ndarray) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (fit(Gaussian(20.0), noisy[:, 0], seed=seed).denoise(noisy[:, 0]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.trains
@pytest.mark.parametrize(
    ("noise", "options"),
    [
        (Gaussian(torch.tensor([20.0, 10.0]).reshape(2, 1, 1)), {}),
        (CorrelatedGaussian.from_span(1.0, 20.0), {"method": "ifm"}),
        (
            PoissonGaussian(1.5, 3.0, offset=10.0),
            {"channels": "apart", "anchor_weight": 0.0, "consistency_weight": 1.0},
        ),
        (Gamma(20.0), {"blocks": 2, "factor": (1, 2)}),
    ],
    ids=["gaussian", "correlated", "camera", "gamma"],
)
def test_saved_and_loaded_is_bit_equal(noise: object, options: dict, noisy: np.ndarray, tmp_path: Path) -> None:
    images = noisy.clip(1)
    denoiser = ImageDenoiser(noise, **{**TINY, **options}).fit(images, axes="TCYX", **SHORT)
    denoiser.save(tmp_path / "model.safetensors")
    loaded = ImageDenoiser.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.denoise(images, axes="TCYX"), denoiser.denoise(images, axes="TCYX"))
    assert (loaded.settings, loaded.history_, loaded.estimator) == (
        denoiser.settings,
        denoiser.history_,
        denoiser.estimator,
    )
    assert [repr(one) for one in loaded.noise_] == [repr(one) for one in denoiser.noise_]
    with pytest.raises(FileExistsError, match="overwrite=True"):
        denoiser.save(tmp_path / "model.safetensors")


@pytest.mark.trains
def test_volumes(tmp_path: Path) -> None:
    volume = (scene(9, 30, 26) + np.random.default_rng(0).normal(scale=20, size=(9, 30, 26))).astype(np.float32)
    denoiser = ImageDenoiser(Gaussian(20.0), ndim=3, **TINY).fit(volume, **{**SHORT, "patch": (8, 16, 16)})
    whole = denoiser.denoise(volume, axes="ZYX", tile=400, overlap=(20, 32, 32))
    tiled = denoiser.denoise(volume, axes="ZYX", tile=(25, 44, 44), overlap=(20, 32, 32))
    np.testing.assert_allclose(tiled, whole, atol=2e-2)
    assert whole.shape == volume.shape


@pytest.mark.parametrize("name", ["cells.ome.tif", "cells.zarr"])
def test_files_are_written_beside_the_original(
    name: str, noisy: np.ndarray, fitted: ImageDenoiser, tmp_path: Path
) -> None:
    images, path = noisy.clip(0, 255).astype(np.uint8), tmp_path / name
    if name.endswith("tif"):
        tifffile.imwrite(path, images, metadata={"axes": "TCYX"}, photometric="minisblack")
    else:
        zarr.create_array(path, shape=images.shape, dtype="u1", dimension_names=list("tcyx"))[:] = images
    written = fitted.denoise([path], tile=48, overlap=32)[0]
    assert written.name.startswith("cells_denoised.")
    read = tifffile.imread if name.endswith("tif") else lambda p: zarr.open(p, mode="r")[:]
    np.testing.assert_array_equal(read(path), images)
    np.testing.assert_array_equal(read(written), fitted.denoise(images, axes="TCYX", tile=48, overlap=32))
    with pytest.raises(FileExistsError, match="exists"):
        fitted.denoise(path)
    assert fitted.denoise(path, overwrite=True, tile=48, overlap=32) == written
    np.testing.assert_array_equal(read(written), fitted.denoise(images, axes="TCYX", tile=48, overlap=32))
    assert {one.name for one in tmp_path.iterdir()} == {path.name, written.name}


@pytest.mark.parametrize("name", ["cells.tif", "cells.zarr"])
def test_what_fails_halfway_leaves_nothing_that_looks_like_a_result(
    name: str, noisy: np.ndarray, fitted: ImageDenoiser, tmp_path: Path
) -> None:
    images, path = noisy.copy(), tmp_path / name
    images[2, 0, 5, 5] = np.nan
    if name.endswith("tif"):
        tifffile.imwrite(path, images, metadata={"axes": "TCYX"}, photometric="minisblack")
    else:
        zarr.create_array(path, shape=images.shape, dtype="f4", dimension_names=list("tcyx"))[:] = images
    with pytest.raises(ValueError, match="nan"):
        fitted.denoise(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.trains
def test_training_from_files_is_training_from_arrays(noisy: np.ndarray, fitted: ImageDenoiser, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noisy, metadata={"axes": "TCYX"}, photometric="minisblack")
    again = ImageDenoiser(Gaussian(20.0), **TINY).fit(str(tmp_path / "a.tif"), **SHORT)
    np.testing.assert_array_equal(again.denoise(noisy, axes="TCYX"), fitted.denoise(noisy, axes="TCYX"))


@pytest.mark.trains
def test_auto_says_what_it_found(noisy: np.ndarray) -> None:
    with pytest.warns(UserWarning, match=r"noise='auto' found Gaussian noise: sigma (19|20|21)"):
        denoiser = fit("auto", noisy[:, 0])
    assert float(denoiser.noise_[0].sigma) == pytest.approx(20, rel=0.1)
    assert denoiser.calibrations_[0][0].kind == "gaussian"


@pytest.mark.trains
def test_named_noise_is_measured_for_each_channel() -> None:
    rng = np.random.default_rng(0)
    frames = np.stack(
        [scene(150, 150) + 10 * rng.normal(size=(150, 150)), scene(150, 150) + 30 * rng.normal(size=(150, 150))]
    )
    denoiser = ImageDenoiser("gaussian", **TINY).fit(frames, axes="CYX", **SHORT)
    np.testing.assert_allclose(denoiser.noise_[0].sigma.flatten(), [10, 30], rtol=0.07)
    camera = ImageDenoiser("poisson_gaussian", **TINY).fit(2.0 * rng.poisson(scene(256, 256) / 2) + 100, **SHORT)
    assert float(camera.noise_[0].gain) == pytest.approx(2, rel=0.25)
    assert camera.denoise(np.full((32, 32), 200.0)).mean() == pytest.approx(200, rel=0.1)  # the offset stays


@pytest.mark.trains
def test_eight_bit_images_are_fractions_to_noise_of_the_unit_interval() -> None:
    x0 = torch.tensor(scene(48, 48) / 255).float().expand(4, 48, 48)
    observed = Jacobi().sample(x0, generator=torch.Generator().manual_seed(0)).numpy()
    bytes_ = np.rint(255 * observed).astype(np.uint8)
    from_float = fit(Jacobi(), bytes_ / np.float32(255)).denoise(bytes_ / np.float32(255))
    from_bytes = fit(Jacobi(), bytes_).denoise(bytes_, dtype="float32")
    np.testing.assert_allclose(from_bytes / 255, from_float, atol=1e-4)
    # the pull of the channel towards one half is undone
    assert from_float.std() > 0 and from_float.mean() == pytest.approx(float(x0.mean()), abs=0.03)


def test_mirroring_only_where_the_noise_is_its_own_mirror_image() -> None:
    diagonal = CorrelatedGaussian(torch.eye(3), 1.0)
    assert flip_axes(Gaussian(1.0), 3) == (0, 1, 2)
    assert flip_axes(CorrelatedGaussian.from_span(1.0, 1.0), 2) == (0, 1)
    assert flip_axes(diagonal, 2) == ()
    assert flip_axes(CorrelatedGaussian(torch.ones(1, 3), 1.0), 3) == (0, 1, 2)
    assert flip_axes(Simulator(lambda x: x), 2) == ()


@pytest.mark.parametrize(
    ("noise", "spoil", "named"),
    [
        (Gaussian(20.0), np.nan, "image 0 holds 520 values that are NaN"),
        (Poisson(1.0), -3.0, "-3"),
        (Gamma(10.0), -3.0, "-3"),
        (Jacobi(), 2.5, "2.5"),
        (Gaussian(torch.ones(40, 52)), 1.0, r"\(40, 52\)"),
        ("rice", 1.0, "'rice'"),
    ],
    ids=["nan", "negative poisson", "negative gamma", "above one", "by pixel", "unknown"],
)
def test_pixels_and_noise_that_cannot_be_are_refused(noise: object, spoil: float, named: str) -> None:
    images = np.random.default_rng(0).integers(0, 2, size=(2, 40, 52)).astype(np.float32)
    images[0, ::2, ::2] = spoil
    with pytest.raises(ValueError, match=named):
        fit(noise, images)


def test_wrong_settings_and_wrong_order_are_refused(noisy: np.ndarray, fitted: ImageDenoiser, tmp_path: Path) -> None:
    for options, named in [
        ({"method": "gan"}, "'gan'"),
        ({"channels": "mixed"}, "'mixed'"),
        ({"anchor_weight": 0, "consistency_weight": 0}, "one must be positive"),
        ({"ndim": 4}, "ndim"),
        ({"factor": (2, 2, 2)}, "factor"),
    ]:
        with pytest.raises(ValueError, match=named):
            ImageDenoiser(Gaussian(1.0), **options)
    with pytest.raises(RuntimeError, match="not been fitted"):
        ImageDenoiser().denoise(noisy)
    with pytest.raises(ValueError, match="1 channels, but training images had 2"):
        fitted.denoise(noisy[:, 0])
    with pytest.raises(ValueError, match="trained for the mean"):
        fitted.denoise(noisy, axes="TCYX", estimator="transport")
    with pytest.raises(ValueError, match="one value in all images"):
        fit(Gaussian(1.0), np.ones((40, 40)))
    with pytest.raises(TypeError, match="a float"):
        fitted.denoise(3.0)
    tifffile.imwrite(tmp_path / "x.tif", noisy[0, 0])
    with pytest.raises(ValueError, match="no description by scif"):
        _save_nothing(tmp_path / "y.safetensors")


def _save_nothing(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    ImageDenoiser.load(path)


@pytest.mark.trains
def test_the_users_noise_stays_where_it_is(noisy: np.ndarray) -> None:
    """Two denoisers may share a channel: that one of them went to a GPU made the other's training fail."""
    channel = Gaussian(20.0)
    fit(channel, noisy[:, 0]).to("meta")
    assert channel.sigma.device.type == "cpu"
    assert fit(channel, noisy[:, 0]).denoise(noisy[:, 0]).shape == noisy[:, 0].shape


@pytest.mark.trains
def test_the_noise_of_a_loaded_denoiser_stays_where_it_is(
    fitted: ImageDenoiser, noisy: np.ndarray, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "denoiser.safetensors")
    loaded = ImageDenoiser.load(tmp_path / "denoiser.safetensors").to("meta")
    assert loaded.fit(noisy, axes="TCYX", **SHORT).denoise(noisy, axes="TCYX").shape == noisy.shape
