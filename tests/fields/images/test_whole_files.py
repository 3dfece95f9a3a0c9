"""Files are read whole, or refused by name: appended pages, several images, missing siblings, cut files, colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from scif.core.noise import Gaussian
from scif.fields.images import ImageDenoiser, open_image

PIXELS = np.random.default_rng(0).integers(150, 250, size=(6, 40, 48)).astype(np.uint16)


def identity() -> ImageDenoiser:
    """A denoiser of next to no training: what counts is which pixels it is shown and where they go."""
    images = PIXELS[:2].astype(np.float32)
    return ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(images, max_steps=2, batch_size=8, patch=32)


@pytest.fixture(scope="module")
def denoiser() -> ImageDenoiser:
    return identity()


def appended(path: Path) -> None:
    for k in range(6):
        tifffile.imwrite(path, PIXELS[k], append=k > 0)


def positions(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as tif:
        for k in (0, 3):
            tif.write(PIXELS[k : k + 3], metadata={"axes": "TYX"})


def by_pillow(compression: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        first, *others = [Image.fromarray(one) for one in PIXELS]
        first.save(path, save_all=True, append_images=others, compression=compression)

    return write


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("appended.tif", appended),
        ("positions.ome.tif", positions),
        *((f"{kind}.tif", by_pillow(kind)) for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
    ],
)
def test_every_plane_is_read_and_written(
    name: str, write: Callable[[Path], None], denoiser: ImageDenoiser, tmp_path: Path
) -> None:
    write(tmp_path / name)
    opened = open_image(tmp_path / name)
    planes = np.asarray(opened.source[:]).reshape(6, 40, 48)
    np.testing.assert_array_equal(planes, PIXELS)
    out = denoiser.denoise(tmp_path / name)
    with tifffile.TiffFile(tmp_path / name) as before, tifffile.TiffFile(out) as after:
        assert len(after.pages) == len(before.pages) == 6
        assert len(after.series) == len(before.series)
    np.testing.assert_array_equal(np.asarray(open_image(out).source[:]).reshape(PIXELS.shape), denoiser.denoise(PIXELS))


def test_jpeg_is_read(tmp_path: Path) -> None:
    pixels = np.full((32, 48), 90, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="jpeg", tile=(16, 16))
    np.testing.assert_allclose(open_image(tmp_path / "a.tif").source[:], pixels, atol=1)


def test_images_of_two_shapes_are_named_and_can_be_chosen(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(PIXELS[:2], metadata={"axes": "TYX", "Name": "left"})
        tif.write(PIXELS[2:], metadata={"axes": "TYX", "Name": "right"})
    with pytest.raises(ValueError, match=r"a\.ome\.tif.*2 images.*left.*\(2, 40, 48\).*right.*\(4, 40, 48\).*series"):
        open_image(path)
    second = open_image(path, series=1)
    np.testing.assert_array_equal(second.source[:], PIXELS[2:])
    out = denoiser.denoise(second)
    assert out.name == "a_series1_denoised.ome.tif"
    np.testing.assert_array_equal(tifffile.imread(out), denoiser.denoise(PIXELS[2:]))
    with pytest.raises(ValueError, match="series is 5"):
        open_image(path, series=5)


def test_previews_behind_an_image_are_left_out(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(PIXELS[0], metadata=None)
        tif.write(PIXELS[0, ::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif").source[:], PIXELS[0])


def test_a_thumbnail_before_the_pages_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(PIXELS[0, ::4, ::4].astype(np.uint8), metadata=None)
        for one in PIXELS:
            tif.write(one, metadata=None, contiguous=False)
    with pytest.raises(ValueError, match=r"\(10, 12\) uint8.*\(6, 40, 48\)"):
        open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif", series=1).source[:], PIXELS)


def ome_part(folder: Path, number: int) -> Path:
    uuid = "urn:uuid:0000000{}-0000-0000-0000-000000000000"
    blocks = "".join(
        f'<TiffData IFD="{k % 3}" FirstT="{k}" PlaneCount="1"><UUID FileName="part{k // 3}.ome.tif">'
        f"{uuid.format(k // 3)}</UUID></TiffData>"
        for k in range(6)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{uuid.format(number)}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint16" '
        f'SizeX="48" SizeY="40" SizeZ="1" SizeC="1" SizeT="6">{blocks}<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        "</Pixels></Image></OME>"
    )
    path = folder / f"part{number}.ome.tif"
    part = PIXELS[3 * number : 3 * number + 3]
    tifffile.imwrite(path, part, description=xml.encode(), metadata=None, photometric="minisblack")
    return path


def test_a_missing_member_of_a_set_is_named(tmp_path: Path) -> None:
    first = ome_part(tmp_path, 0)
    with pytest.raises(ValueError, match=r"3 of 6 planes of .*part0\.ome\.tif.*part1\.ome\.tif"):
        open_image(first)
    second = ome_part(tmp_path, 1)
    np.testing.assert_array_equal(open_image(first).source[:], PIXELS)
    with pytest.raises(FileExistsError, match="image itself"):
        from scif.fields.images import output_paths

        output_paths([first], folder=tmp_path)
    assert second.exists()


def test_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(ValueError, match=r"a\.tif' is a folder"):
        open_image(tmp_path / "a.tif")


def test_half_precision_is_read(denoiser: ImageDenoiser) -> None:
    half = PIXELS[0].astype(np.float16)
    result = denoiser.denoise(half)
    assert result.dtype == np.float16
    np.testing.assert_allclose(result, denoiser.denoise(half.astype(np.float32)), rtol=1e-3)


def test_axes_that_are_not_named_are_asked_for(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS.reshape(3, 2, 40, 48), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif' has shape \(3, 2, 40, 48\) .*pass axes="):
        denoiser.denoise(tmp_path / "a.tif")
    colours = np.moveaxis(PIXELS[:3], 0, -1)
    tifffile.imwrite(tmp_path / "b.tif", colours, photometric="minisblack")
    for image in (colours, tmp_path / "b.tif"):
        with pytest.raises(ValueError, match=r"shape \(40, 48, 3\); if the last axis is colours, pass axes='YXC'"):
            denoiser.denoise(image)


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["plain", "zlib", "imagej", "ome", "pillow", "one page"])
def test_a_cut_file_is_named(kind: str, keep: float, tmp_path: Path) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "pillow":
        by_pillow("tiff_lzw")(path)
    elif kind == "one page":
        tifffile.imwrite(path, PIXELS[0])
    else:
        options = {"zlib": {"compression": "zlib"}, "imagej": {"imagej": True}}.get(kind, {})
        tifffile.imwrite(path, PIXELS, **options, metadata={"axes": "TYX"})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ValueError, match=re.escape(path.name)):
        ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(path, max_steps=2)


def test_miniswhite_stays_what_it_is(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="miniswhite", metadata={"axes": "TYX"})
    with pytest.warns(UserWarning, match="miniswhite"):
        out = denoiser.denoise(tmp_path / "a.tif")
    with tifffile.TiffFile(out) as tif:
        assert tif.pages[0].photometric.name == "MINISWHITE"
        np.testing.assert_array_equal(tif.asarray(), denoiser.denoise(PIXELS))


def test_a_table_of_colours_is_brightness_only_if_it_is_a_ramp(tmp_path: Path) -> None:
    grey = PIXELS[0].astype(np.uint8)
    rng = np.random.default_rng(0)
    ramp = np.zeros((3, 256), dtype=np.uint16)
    ramp[1] = np.linspace(0, 65535, 256)  # green, as Fiji stores the channel of a camera
    for name, table in (("any", rng.integers(0, 65535, (3, 256)).astype(np.uint16)), ("green", ramp)):
        tifffile.imwrite(tmp_path / f"{name}.tif", grey, photometric="palette", colormap=table)
    with pytest.raises(ValueError, match=r"any\.tif.*table.*convert"):
        open_image(tmp_path / "any.tif")
    out = identity().denoise(tmp_path / "green.tif")
    with tifffile.TiffFile(out) as tif:
        assert tif.pages[0].photometric.name == "PALETTE"
        np.testing.assert_array_equal(tif.pages[0].colormap, ramp)


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_alpha_is_left_out_only_where_it_says_nothing(suffix: str, tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, size=(20, 30, 4)).astype(np.uint8)

    def write(pixels: np.ndarray) -> Path:
        path = tmp_path / f"a{suffix}"
        if suffix == ".png":
            Image.fromarray(pixels).save(path)
        else:
            tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"])
        return path

    with pytest.raises(ValueError, match="alpha channel"):
        open_image(write(colours))
    colours[..., 3] = 255
    with pytest.warns(UserWarning, match="ignored the alpha"):
        opened = open_image(write(colours))
    assert (opened.axes, opened.source.shape) == ("YXC", (20, 30, 3))
    np.testing.assert_array_equal(opened.source[2:7, :, 1:2], colours[2:7, :, 1:2])


@pytest.mark.parametrize(
    ("dtype", "shape"), [("u1", (40, 48)), ("u2", (40, 48)), ("u1", (40, 48, 3)), ("u2", (40, 48, 3))]
)
def test_png_in_and_out(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    from scif.fields.images._png import write_png

    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, size=shape).astype(dtype)
    write_png(tmp_path / "a.png", pixels)
    opened = open_image(tmp_path / "a.png")
    assert opened.source.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(opened.source[...], pixels)
    if len(shape) == 2:
        denoiser = identity()
        out = denoiser.denoise(tmp_path / "a.png")
        np.testing.assert_array_equal(open_image(out).source, denoiser.denoise(pixels))
        with pytest.raises(ValueError, match="PNG holds"):
            denoiser.denoise(tmp_path / "a.png", dtype=np.float32, overwrite=True)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"a\.png.*cut short"):
        open_image(tmp_path / "a.png")


def test_two_inputs_never_become_one_output(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        tifffile.imwrite(tmp_path / day / "cells.tif", PIXELS, metadata={"axes": "TYX"})
    files = [tmp_path / day / "cells.tif" for day in ("day1", "day2")]
    with pytest.raises(ValueError, match=r"day1/cells\.tif.*day2/cells\.tif.*both be written"):
        denoiser.denoise(files, out=[tmp_path / "out.tif"] * 2, overwrite=True)
    with pytest.raises(ValueError, match="both be written"):
        denoiser.denoise([files[0], files[0]])
    with pytest.raises(FileExistsError, match="image itself"):
        denoiser.denoise(files, out=[files[1], tmp_path / "out.tif"], overwrite=True)
    assert sorted(p.name for p in tmp_path.rglob("*.tif")) == ["cells.tif", "cells.tif"]


@pytest.mark.trains
def test_an_image_listed_twice_is_taken_once(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "copy.tif", PIXELS, metadata={"axes": "TYX"})
    options = {"axes": "TYX", "max_steps": 2, "batch_size": 8, "patch": 32}
    for images in ([PIXELS, PIXELS], [PIXELS, PIXELS.copy()], [tmp_path / "a.tif", tmp_path / "copy.tif"]):
        with pytest.warns(UserWarning, match="image 1 .*taken once"):
            twice = ImageDenoiser("gaussian", widths=(4, 8)).fit(images, **options)
        once = ImageDenoiser("gaussian", widths=(4, 8)).fit(PIXELS, **options)
        np.testing.assert_array_equal(twice.denoise(PIXELS), once.denoise(PIXELS))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit([PIXELS[:3], PIXELS[3:]], max_steps=2, batch_size=8, patch=32)


def test_what_cannot_be_written_leaves_nothing(denoiser: ImageDenoiser, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, metadata={"axes": "TYX"})
    for out, error in (("nowhere/b.tif", FileNotFoundError), ("b.czi", ValueError), ("b.gif", ValueError)):
        with pytest.raises(error):
            denoiser.denoise(tmp_path / "a.tif", out=tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
