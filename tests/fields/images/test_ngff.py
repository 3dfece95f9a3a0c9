"""OME-Zarr: valid in both versions, with pyramid, sizes, units and channels, for readers that are not ours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from scif.core.noise import Gaussian
from scif.fields.images import ImageDenoiser, open_image

PIXELS = np.random.default_rng(0).normal(100, 10, size=(2, 3, 160, 144)).astype(np.uint16)
NAMES = ("DAPI", "GFP", "mCherry")


def write(path: Path, version: str) -> Path:
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}]
    axes += [{"name": letter, "type": "space", "unit": "micrometer"} for letter in "yx"]
    scale = [{"type": "scale", "scale": [5.0, 1.0, 0.1, 0.2]}]
    scales: dict[str, Any] = {"name": "cells", "axes": axes}
    scales["datasets"] = [{"path": "s0", "coordinateTransformations": scale}]
    window = {"start": 0, "end": 500, "min": 0, "max": 65535}
    omero = {"channels": [{"label": name, "color": "00FF00", "window": window, "active": True} for name in NAMES]}
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": [scales], "omero": omero}
    else:
        group.attrs.update({"multiscales": [{"version": "0.4", **scales}], "omero": omero})
    group.create_array("s0", data=PIXELS, chunks=(1, 1, 64, 64))
    return path


@pytest.fixture(scope="module")
def denoiser() -> ImageDenoiser:
    return ImageDenoiser(Gaussian(10.0), widths=(4, 8)).fit(PIXELS, axes="TCYX", max_steps=2, batch_size=8, patch=32)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_comes_out_is_valid_and_says_what_went_in(version: str, denoiser: ImageDenoiser, tmp_path: Path) -> None:
    models = pytest.importorskip("ome_zarr_models")
    out = denoiser.denoise(write(tmp_path / "a.ome.zarr", version))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ome.zarr", "a_denoised.ome.zarr"]
    group = zarr.open_group(out, mode="r")
    image = models.open_ome_zarr(group)  # validates
    assert image.ome_zarr_version == version
    assert [level.shape[-2:] for _, level in sorted(group.arrays())] == [(160, 144), (80, 72)]
    expected = denoiser.denoise(PIXELS, axes="TCYX")
    np.testing.assert_array_equal(open_image(out).source[:], expected)
    coarse = open_image(out).source[:].astype(float).reshape(2, 3, 80, 2, 72, 2).mean((3, 5))
    finest, second = (array for _, array in sorted(group.arrays()))
    assert finest.dtype == second.dtype == PIXELS.dtype
    assert np.abs(second[:] - coarse).max() <= 1
    before, after = open_image(tmp_path / "a.ome.zarr").keep, open_image(out).keep
    assert after["omero"]["channels"] == before["omero"]["channels"]
    assert after["transformations"][0] == before["transformations"][0]
    changed = {"omero": 0, "transformations": 0, "levels": 0}
    assert after | changed == before | changed


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_another_reader_opens_it(version: str, denoiser: ImageDenoiser, tmp_path: Path) -> None:
    reader = pytest.importorskip("bioio_ome_zarr").Reader
    out = denoiser.denoise(write(tmp_path / "a.ome.zarr", version))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = reader(str(out))
        assert list(opened.channel_names) == list(NAMES)
        assert (opened.physical_pixel_sizes.Y, opened.physical_pixel_sizes.X) == (0.1, 0.2)
        assert opened.resolution_levels == (0, 1)
        np.testing.assert_array_equal(np.asarray(opened.dask_data), denoiser.denoise(PIXELS, axes="TCYX"))


def test_a_small_image_gets_as_many_levels_as_it_came_with(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    small, path = PIXELS[..., :60, :50], tmp_path / "a.ome.zarr"
    group = zarr.open_group(write(path, "0.5"), mode="a")
    del group["s0"]
    scales = group.attrs["ome"]["multiscales"][0]
    scales["datasets"] = [
        {"path": f"s{k}", "coordinateTransformations": [{"type": "scale", "scale": [5.0, 1.0, 0.1 * 2**k, 0.2 * 2**k]}]}
        for k in range(3)
    ]
    for k in range(3):
        group.create_array(f"s{k}", data=small[..., :: 2**k, :: 2**k], chunks=(1, 1, 32, 32))
    group.attrs["ome"] = group.attrs["ome"] | {"multiscales": [scales]}
    out = zarr.open_group(denoiser.denoise(path), mode="r")
    assert [level.shape[-2:] for _, level in sorted(out.arrays())] == [(60, 50), (30, 25), (15, 12)]


def test_a_tiff_becomes_an_ome_zarr_with_its_sizes(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    metadata = {"axes": "TCYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "TimeIncrement": 5.0}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata=metadata, photometric="minisblack")
    out = denoiser.denoise(tmp_path / "a.ome.tif", out=tmp_path / "b.ome.zarr")
    keep = open_image(out).keep
    assert keep["transformations"][0]["scale"] == [5.0, 1.0, 1.0, 0.2]
    assert [axis.get("unit") for axis in keep["axes"]] == ["second", None, None, "micrometer"]


def test_axes_that_ome_zarr_does_not_have_are_refused_before_work(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, metadata={"axes": "QCYX"}, photometric="minisblack")
    with pytest.raises(ValueError, match=r"not \['Q'\]"):
        denoiser.denoise(tmp_path / "a.tif", out=tmp_path / "b.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_groups_without_one_image_are_refused(tmp_path: Path) -> None:
    plate = zarr.create_group(tmp_path / "plate.ome.zarr")
    plate.create_group("0")
    plate.create_group("1")
    with pytest.raises(ValueError, match=r"plate\.ome\.zarr.*0, 1"):
        open_image(tmp_path / "plate.ome.zarr")
