"""TIFF, OME-TIFF and zarr: opened lazily, and written beside the original with its axes and pixel sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scif._extras import require

__all__ = ["ImageFile", "check_free", "create_like", "open_image", "path_beside"]

_TIFF = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
_ZARR = (".ome.zarr", ".zarr")


@dataclass(frozen=True)
class ImageFile:
    """An image file opened for reading: a lazy array, its axes where the file names them, and what to keep of it."""

    path: Path
    source: Any
    axes: str | None
    keep: Mapping[str, Any] = field(default_factory=dict)


def open_image(path: str | Path) -> ImageFile:
    """Open a TIFF, OME-TIFF, zarr or OME-zarr image without reading its pixels.

    Raises
    ------
    ValueError
        If the format is not known.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if not path.exists():
        msg = f"there is no image {str(path)!r}."
        raise FileNotFoundError(msg)
    suffix = _suffix(path)
    return _open_tiff(path) if suffix in _TIFF else _open_zarr(path)


def path_beside(path: Path, *, tag: str = "denoised") -> Path:
    """Where the result for ``path`` goes: ``cells.ome.tif`` gives ``cells_denoised.ome.tif``.

    Examples
    --------
    >>> path_beside(Path("cells.ome.tif")).name
    'cells_denoised.ome.tif'
    """
    suffix = _suffix(path)
    return path.with_name(f"{path.name[: -len(suffix)]}_{tag}{suffix}")


def check_free(original: ImageFile, path: Path, *, overwrite: bool) -> None:
    """Raise ``FileExistsError`` if a path is the original, or exists and ``overwrite`` is false."""
    if path.resolve() == original.path.resolve():
        msg = f"the output {str(path)!r} is the image itself; choose another path."
        raise FileExistsError(msg)
    if path.exists() and not overwrite:
        msg = f"the output {str(path)!r} exists; remove it, choose another path or pass overwrite=True."
        raise FileExistsError(msg)


def create_like(original: ImageFile, path: str | Path, *, axes: str, dtype: np.dtype[Any], overwrite: bool) -> Any:
    """An empty writable array on disk, of the shape and with the metadata of an opened image.

    Raises
    ------
    FileExistsError
        If ``path`` is the original, or exists and ``overwrite`` is false.
    """
    path = Path(path)
    check_free(original, path, overwrite=overwrite)
    suffix = _suffix(path)
    create = _create_tiff if suffix in _TIFF else _create_zarr
    return create(original, path, axes, dtype)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in (*_TIFF, *_ZARR):
        if name.endswith(suffix):
            return suffix
    msg = f"{str(path)!r} is not a known image format; give one of {', '.join((*_TIFF, *_ZARR))}."
    raise ValueError(msg)


def _open_tiff(path: Path) -> ImageFile:
    import zarr

    tifffile = require("tifffile", extra="images", purpose=f"reading {path.name}")
    keep: dict[str, Any] = {}
    with tifffile.TiffFile(path) as tif:
        axes = tif.series[0].axes
        page = tif.pages[0]
        if tif.is_ome and tif.ome_metadata:
            keep["metadata"] = _ome_pixels(tifffile.xml2dict(tif.ome_metadata))
        elif tif.is_imagej:
            wanted = ("spacing", "unit", "finterval", "fps")
            keep["imagej"] = True
            keep["metadata"] = {key: value for key, value in (tif.imagej_metadata or {}).items() if key in wanted}
        if isinstance(page, tifffile.TiffPage) and "XResolution" in page.tags:
            keep["resolution"] = tuple(page.tags[name].value for name in ("XResolution", "YResolution"))
            keep["resolutionunit"] = page.tags["ResolutionUnit"].value if "ResolutionUnit" in page.tags else None
    opened: Any = zarr.open(tifffile.imread(path, aszarr=True, level=0), mode="r")
    if "S" in axes and "C" not in axes:
        axes = axes.replace("S", "C")
        keep["photometric"] = "rgb" if opened.shape[axes.index("C")] == 3 else "minisblack"
    return ImageFile(path, opened, axes, keep)


def _ome_pixels(document: Mapping[str, Any]) -> dict[str, Any]:
    """Pixel sizes, time step and channel names of the first image of an OME document."""
    image = document.get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list | tuple) else image).get("Pixels", {})
    kept = {key: value for key, value in pixels.items() if key.startswith(("PhysicalSize", "TimeIncrement"))}
    channels = pixels.get("Channel", [])
    names = [channel.get("Name") for channel in (channels if isinstance(channels, list | tuple) else [channels])]
    return kept | ({"Channel": {"Name": names}} if names and all(names) else {})


def _create_tiff(original: ImageFile, path: Path, axes: str, dtype: np.dtype[Any]) -> Any:
    tifffile = require("tifffile", extra="images", purpose=f"writing {path.name}")
    keep = dict(original.keep) if _suffix(original.path) in _TIFF else {}
    if keep.get("imagej") and dtype not in (np.uint8, np.uint16, np.float32):
        keep.pop("imagej")
    colour = keep.setdefault("photometric", "minisblack") == "rgb"
    metadata = {**keep.pop("metadata", {}), "axes": axes.replace("C", "S") if colour else axes}
    return tifffile.memmap(path, shape=original.source.shape, dtype=dtype, metadata=metadata, **keep)


def _open_zarr(path: Path) -> ImageFile:
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        names = getattr(node.metadata, "dimension_names", None) or ()
        return ImageFile(path, node, _letters(names))
    ome: Any = node.attrs.get("ome", node.attrs)
    scales = ome.get("multiscales") if isinstance(ome, Mapping) or hasattr(ome, "get") else None
    if not scales:
        msg = f"{str(path)!r} is a zarr group without OME metadata; give the path of one of its arrays."
        raise ValueError(msg)
    finest = scales[0]["datasets"][0]
    axes = _letters([axis["name"] if isinstance(axis, Mapping) else axis for axis in scales[0].get("axes", ())])
    keep = {"axes": scales[0].get("axes"), "dataset": {**finest, "path": "0"}, "version": scales[0].get("version")}
    return ImageFile(path, node[finest["path"]], axes, keep)


def _letters(names: Any) -> str | None:
    """The axes as a string, if every name is a single letter."""
    return "".join(names).upper() if names and all(isinstance(n, str) and len(n) == 1 for n in names) else None


def _create_zarr(original: ImageFile, path: Path, axes: str, dtype: np.dtype[Any]) -> Any:
    import zarr

    shape = original.source.shape
    # One image of a stack to a chunk, cut where it is large: tiles are written strip by strip.
    chunks = tuple(
        min(n, 512) if letter in "YX" else min(n, 32) if letter == "Z" else 1
        for letter, n in zip(axes, shape, strict=True)
    )
    options: dict[str, Any] = {"shape": shape, "dtype": dtype, "chunks": chunks, "overwrite": True}
    names = [letter.lower() for letter in axes]
    if "dataset" not in original.keep:
        return zarr.create_array(path, dimension_names=names, **options)
    scale = {key: original.keep[key] for key in ("axes", "version") if original.keep[key] is not None}
    group = zarr.create_group(path, overwrite=True)
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{**scale, "datasets": [original.keep["dataset"]]}]}
    return group.create_array("0", dimension_names=names, **{k: v for k, v in options.items() if k != "overwrite"})
