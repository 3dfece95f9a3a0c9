"""TIFF and OME-TIFF: every plane of a file, or a refusal that says what would be left out."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.fields.images._image_file import ImageFile
from scif.fields.images._joined import Colours, Joined

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

__all__ = ["free_letter", "read_tiff", "without_alpha"]

_RAMP = "palette"
_UNREAD = ("SEPARATED", "CIELAB", "ICCLAB", "ITULAB")
"""Colours whose samples are not brightness."""


def read_tiff(path: Path, series: int | None = None) -> ImageFile:
    """Open a TIFF lazily, with all of its planes.

    Parameters
    ----------
    path
        A file that exists.
    series
        Which of several images of the file; all, as one more axis, if not given and they have one shape.

    Raises
    ------
    ValueError
        If planes are missing, cut short, or would be left out, or values are no brightness.
    """
    with _watched(path) as tif:
        chosen = _chosen(path, tif, series)
        for one in chosen:
            _check_planes(path, tif, one)
        numbers = [tif.series.index(one) for one in chosen]
        axes, keep, members = chosen[0].axes, _kept(path, tif, chosen[0]), _members(chosen)
    sources = [_lazy(path, k) for k in numbers]
    if "S" in axes and "C" not in axes:
        sources = [without_alpha(path, source, axes.index("S"), keep) for source in sources]
        axes = axes.replace("S", "C")
    if len(sources) == 1:
        return ImageFile(path, sources[0], axes, keep, series=series, members=members)
    return ImageFile(path, Joined(sources), free_letter(axes) + axes, keep, series=series, members=members)


@contextmanager
def _watched(path: Path) -> Iterator[TiffFile]:
    """The opened file; what tifffile only logs, or raises without a name, becomes an error that names the file."""
    import tifffile

    if path.is_dir():
        msg = f"{str(path)!r} is a folder; give the TIFF files in it."
        raise ValueError(msg)
    log, heard = logging.getLogger("tifffile"), _Heard(logging.ERROR)
    log.addHandler(heard)
    propagate, log.propagate = log.propagate, False
    try:
        with tifffile.TiffFile(path) as tif:
            len(tif.pages)  # walks through the file
            _ = tif.series
            if heard.messages:
                raise tifffile.TiffFileError(heard.messages[0])
            yield tif
    except (tifffile.TiffFileError, IndexError, KeyError, struct.error) as error:
        msg = f"{str(path)!r} is cut short or not a TIFF ({error}); copy it again from where it was written."
        raise ValueError(msg) from None
    finally:
        log.removeHandler(heard)
        log.propagate = propagate


class _Heard(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _chosen(path: Path, tif: TiffFile, series: int | None) -> list[TiffPageSeries]:
    """The series to read: all of one shape, or the one that was asked for."""
    every = list(tif.series)
    if series is not None:
        if not 0 <= series < len(every):
            msg = f"series is {series}, but {str(path)!r} has {len(every)}: {_listed(every)}."
            raise ValueError(msg)
        return [every[series]]
    small = [one for one in every if getattr(one.keyframe, "is_reduced", False)]
    if small and len(small) < len(every):
        warnings.warn(f"{str(path)!r}: ignored the preview {_listed(small)}.", stacklevel=6)
        every = [one for one in every if one not in small]
    if len({(one.shape, one.axes, str(one.dtype)) for one in every}) > 1:
        msg = (
            f"{str(path)!r} holds {len(every)} images that are not of one shape: {_listed(tif.series)}. Choose one, "
            "such as scif.fields.images.open_image(path, series=0) or --series 0, or write them to files of their own."
        )
        raise ValueError(msg)
    covered = {page.index for one in every for level in one.levels for page in level.pages if page is not None}
    left = [k for k in range(len(tif.pages)) if k not in covered] if not small else []
    if left and not any(one.dataoffset is not None and len(one.pages) == 1 and one.ndim > 2 for one in every):
        msg = (
            f"{str(path)!r} has {len(tif.pages)} pages, of which its metadata names {len(covered)}; page {left[0]} and "
            f"{len(left) - 1} more would be left out. Write it again with metadata that fits its pages."
        )
        raise ValueError(msg)
    return every


def _listed(every: Any) -> str:
    return ", ".join(f"{k} {one.name or 'unnamed'} {one.axes}={one.shape} {one.dtype}" for k, one in enumerate(every))


def _check_planes(path: Path, tif: TiffFile, series: TiffPageSeries) -> None:
    """Raise if planes of a series are missing, cut short, packed by an unknown codec, or no brightness."""
    from tifffile import TIFF

    pages: list[Any] = list(series.pages)
    if missing := sum(page is None for page in pages):
        absent = _absent_siblings(path, tif)
        files = f"; missing beside it: {', '.join(absent)}" if absent else ""
        msg = (
            f"{missing} of {len(pages)} planes of {str(path)!r} are not in the file{files}. Put the missing files "
            "beside it, or write the existing planes to a new file."
        )
        raise ValueError(msg)
    key = series.keyframe
    colours = _photometric(key)
    if colours in _UNREAD:
        msg = f"{str(path)!r} holds colours as {colours}, which are not brightness; convert it to RGB."
        raise ValueError(msg)
    try:
        TIFF.DECOMPRESSORS[key.compression]
        TIFF.UNPREDICTORS[key.predictor]
    except KeyError:
        name = getattr(key.compression, "name", key.compression)
        msg = f"{str(path)!r} is compressed by {name}; reading it needs imagecodecs: pip install 'scif-tools[images]'."
        raise ValueError(msg) from None
    sizes: dict[Any, int] = {}
    for k, page in enumerate(pages):
        handle = page.parent.filehandle
        size = sizes.setdefault(handle.path, handle.size)
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        needed = series.dataoffset + series.nbytes if series.dataoffset is not None and len(pages) == 1 else 0
        if not ends or max(*ends, needed) > size or min(page.dataoffsets) <= 0:
            msg = (
                f"{handle.path!r} is cut short: plane {k} of {len(pages)} is not whole; "
                "copy it again from where it was written."
            )
            raise ValueError(msg)


def _absent_siblings(path: Path, tif: TiffFile) -> list[str]:
    """Files that the OME metadata name and that are not there."""
    import re

    names = dict.fromkeys(re.findall(r'FileName="([^"]+)"', tif.ome_metadata or ""))
    return [name for name in names if not (path.parent / name).exists()]


def _members(chosen: list[TiffPageSeries]) -> tuple[Path, ...]:
    """All files that the planes lie in."""
    pages: list[Any] = [page for one in chosen for page in one.pages]
    return tuple(dict.fromkeys(Path(page.parent.filehandle.path).resolve() for page in pages))


def _lazy(path: Path, number: int) -> Any:
    import tifffile
    import zarr

    return zarr.open(tifffile.imread(path, aszarr=True, series=number, level=0), mode="r")


def without_alpha(path: Path, source: Any, axis: int, keep: dict[str, Any]) -> Any:
    """Colours without an alpha that says nothing; others are refused."""
    count = source.shape[axis]
    keep["photometric"] = "rgb" if count in (3, 4) else "minisblack"
    if count not in (2, 4):
        return source
    alpha = np.asarray(source[(*[slice(None)] * axis, count - 1)])
    if alpha.min() != alpha.max():
        msg = (
            f"{str(path)!r} has an alpha channel (or one more) that is not the same everywhere: values {alpha.min()} "
            f"to {alpha.max()}. Flatten the image, or write its samples as channels (axis C)."
        )
        raise ValueError(msg)
    warnings.warn(f"{str(path)!r}: ignored the alpha channel, which is {alpha.max()} everywhere.", stacklevel=5)
    keep["photometric"] = "rgb" if count == 4 else "minisblack"
    if count == 2:
        return Colours(source, axis, count=1)
    return Colours(source, axis, count=3)


def _kept(path: Path, tif: TiffFile, series: TiffPageSeries) -> dict[str, Any]:
    """Metadata, pixel sizes and meaning of the values that the result takes from the original."""
    keep: dict[str, Any] = {}
    if tif.is_ome and tif.ome_metadata:
        import tifffile

        keep["metadata"] = _ome_pixels(tifffile.xml2dict(tif.ome_metadata))
    elif tif.is_imagej:
        wanted = ("spacing", "unit", "finterval", "fps")
        keep["imagej"] = True
        keep["metadata"] = {key: value for key, value in (tif.imagej_metadata or {}).items() if key in wanted}
    page: TiffPage = series.keyframe
    if "XResolution" in page.tags:
        keep["resolution"] = tuple(page.tags[name].value for name in ("XResolution", "YResolution"))
        keep["resolutionunit"] = page.tags["ResolutionUnit"].value if "ResolutionUnit" in page.tags else None
    if _photometric(page) == "MINISWHITE":
        warnings.warn(
            f"{str(path)!r} stores dark as large values (miniswhite); they are taken and written as they are stored, "
            "and noise that depends on brightness is measured on them.",
            stacklevel=5,
        )
        keep["photometric"] = "miniswhite"
    if _photometric(page) == "PALETTE":
        keep |= {"photometric": _RAMP, "colormap": _ramp(path, page)}
    return keep


def _photometric(page: TiffPage) -> str:
    """Meaning of the values of a page, by tifffile's name."""
    return str(getattr(page.photometric, "name", page.photometric))


def _ramp(path: Path, page: TiffPage) -> Any:
    """The colour table of a page whose indices are brightness: no colour gets darker along it."""
    table = page.colormap
    if table is None or (np.diff(table.astype(np.int64), axis=1) < 0).any():
        msg = (
            f"the pixels of {str(path)!r} are indices into a colour table, which is not a ramp from dark to bright, "
            "so they are not brightness; convert it to grey or RGB."
        )
        raise ValueError(msg)
    return table


def _ome_pixels(document: Mapping[str, Any]) -> dict[str, Any]:
    """Pixel sizes, time step and channel names of the first image of an OME document."""
    image = document.get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list | tuple) else image).get("Pixels", {})
    kept = {key: value for key, value in pixels.items() if key.startswith(("PhysicalSize", "TimeIncrement"))}
    channels = pixels.get("Channel", [])
    names = [channel.get("Name") for channel in (channels if isinstance(channels, list | tuple) else [channels])]
    return kept | ({"Channel": {"Name": names}} if names and all(names) else {})


def free_letter(axes: str) -> str:
    return next(letter for letter in "PQNRT" if letter not in axes)
