"""Files: what was written comes back lazily, and results keep axes and pixel sizes beside the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._io import create_like, finish_like, open_image, path_beside


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 60000, size=(2, 3, 4, 17, 23)).astype(np.uint16)


def write_ome_tiff(path: Path, pixels: np.ndarray) -> Path:
    metadata = {"axes": "TCZYX", "PhysicalSizeX": 0.11, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["a", "b", "c"]}}
    tifffile.imwrite(path, pixels, metadata=metadata, photometric="minisblack")
    return path


def write_imagej(path: Path, pixels: np.ndarray) -> Path:
    resolution = {"resolution": (5.0, 5.0), "metadata": {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}}
    tifffile.imwrite(path, pixels.swapaxes(1, 2), imagej=True, **resolution)
    return path


def write_zarr(path: Path, pixels: np.ndarray) -> Path:
    array = zarr.create_array(path, shape=pixels.shape, dtype=pixels.dtype, dimension_names=list("tczyx"))
    array[:] = pixels
    return path


def write_ome_zarr(path: Path, pixels: np.ndarray) -> Path:
    group = zarr.create_group(path)
    group.create_array("s0", shape=pixels.shape, dtype=pixels.dtype)[:] = pixels
    axes = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}]
    axes += [{"name": letter, "type": "space", "unit": "micrometer"} for letter in "zyx"]
    steps = [
        {"type": "scale", "scale": [1.0, 1.0, 0.5, 0.11, 0.11]},
        {"type": "translation", "translation": [0.0, 0.0, 3.0, 7.0, 9.0]},
    ]
    datasets = [{"path": "s0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return path


WRITERS = {
    "cells.ome.tif": (write_ome_tiff, "TCZYX"),
    "cells.tif": (write_imagej, "TZCYX"),
    "cells.zarr": (write_zarr, "TCZYX"),
    "cells.ome.zarr": (write_ome_zarr, "TCZYX"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip(name: str, pixels: np.ndarray, tmp_path: Path) -> None:
    write, axes = WRITERS[name]
    original = open_image(write(tmp_path / name, pixels))
    assert original.axes == axes
    assert isinstance(original.source, zarr.Array)  # nothing was loaded
    source = ImageStack(original.source, Axes(axes))
    assert (len(source), source.channels, source.spatial) == (8, 3, (17, 23))
    np.testing.assert_array_equal(source.read(5), pixels[1, :, 1])

    beside = path_beside(original.path)
    assert beside.parent == original.path.parent
    array = create_like(original, beside, axes=axes, dtype=np.dtype(np.float32), overwrite=False)
    target = ImageStack(array, Axes(axes))
    for k in range(len(source)):
        target.write(k, (0, 0), source.read(k).astype(np.float32))
    finish_like(original, beside, array, axes=axes)
    back = open_image(beside)
    assert back.axes == axes
    assert back.source.dtype == np.float32
    np.testing.assert_array_equal(back.source[:], original.source[:])
    assert back.keep == {**original.keep, **({"name": "cells"} if "ngff" in back.keep else {})}


def test_colour_tiff_has_its_colours_as_channels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, size=(20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", pixels, photometric="rgb")
    original = open_image(tmp_path / "rgb.tif")
    assert original.axes == "YXC"
    out = create_like(original, tmp_path / "out.tif", axes="YXC", dtype=np.dtype(np.uint8), overwrite=False)
    out[:] = pixels
    out.flush()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), pixels)


def test_nothing_is_overwritten(pixels: np.ndarray, tmp_path: Path) -> None:
    original = open_image(write_ome_tiff(tmp_path / "a.ome.tif", pixels))
    with pytest.raises(FileExistsError, match="is the image itself"):
        create_like(original, tmp_path / "." / "a.ome.tif", axes="TCZYX", dtype=pixels.dtype, overwrite=True)
    other = write_ome_tiff(tmp_path / "b.ome.tif", pixels)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        create_like(original, other, axes="TCZYX", dtype=pixels.dtype, overwrite=False)
    np.testing.assert_array_equal(tifffile.imread(other), pixels)


def test_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.tif"):
        open_image(tmp_path / "gone.tif")
    (tmp_path / "a.gif").touch()
    with pytest.raises(ValueError, match=r"a\.gif.*not a known image format"):
        open_image(tmp_path / "a.gif")
    zarr.create_group(tmp_path / "bare.zarr")
    with pytest.raises(ValueError, match="without OME metadata"):
        open_image(tmp_path / "bare.zarr")
