"""Zarr arrays and OME-Zarr images: opened lazily, written with a pyramid by ome-zarr."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scif.fields.images._image_file import ImageFile

__all__ = ["check_ngff", "create_zarr", "finish_ngff", "read_zarr", "stage_ngff"]

_ORDER = "TCZYX"
_TYPES = {"T": "time", "C": "channel"}
_UNITS = {"µm": "micrometer", "um": "micrometer", "micron": "micrometer", "nm": "nanometer", "mm": "millimeter"}
_SMALLEST = 64
"""Side, in pixels, below which no smaller level of a pyramid is made: a viewer shows that at once.
An image that came with more levels gets as many."""


def read_zarr(path: Path) -> ImageFile:
    """Open a zarr array, or the finest level of an OME-Zarr image.

    Raises
    ------
    ValueError
        If a group holds no image, or more than one.
    """
    import zarr

    try:
        node = zarr.open(path, mode="r")
    except (ValueError, KeyError, FileNotFoundError) as error:
        msg = f"{str(path)!r} is not a readable zarr array or group ({error})."
        raise ValueError(msg) from None
    if isinstance(node, zarr.Array):
        names = getattr(node.metadata, "dimension_names", None) or ()
        return ImageFile(path, node, _letters(names), writes_tiff=False)
    ome: Any = node.attrs.get("ome", node.attrs)
    scales = ome.get("multiscales") if hasattr(ome, "get") else None
    if not scales:
        inside = ", ".join(sorted(key for key, _ in node.members())[:8]) or "nothing"
        msg = f"{str(path)!r} is a zarr group without OME metadata; give the path of one of its arrays ({inside})."
        raise ValueError(msg)
    if len(scales) > 1:
        msg = f"{str(path)!r} holds {len(scales)} multiscale images; give the path of an array of one of them."
        raise ValueError(msg)
    one = scales[0]
    axes = _letters([axis["name"] if isinstance(axis, Mapping) else axis for axis in one.get("axes", ())])
    version = "0.5" if "ome" in node.attrs else str(one.get("version", "0.4"))
    keep = {"ngff": True, "version": version, "axes": one.get("axes"), "name": one.get("name")}
    keep["transformations"] = one["datasets"][0].get("coordinateTransformations", [])
    keep["whole"], keep["levels"] = one.get("coordinateTransformations", []), len(one["datasets"])
    if ome.get("omero"):
        keep["omero"] = ome["omero"]
    return ImageFile(path, node[one["datasets"][0]["path"]], axes, keep, writes_tiff=False)


def create_zarr(original: ImageFile, path: Path, axes: str, dtype: np.dtype[Any]) -> Any:
    """An empty writable zarr array with named dimensions."""
    import zarr

    shape = original.source.shape
    return zarr.create_array(
        path, shape=shape, dtype=dtype, chunks=_chunks(axes, shape), overwrite=True, dimension_names=list(axes.lower())
    )


def check_ngff(path: Path, axes: str) -> None:
    """Raise if an OME-Zarr image with these axes cannot be written here."""
    if importlib.util.find_spec("ome_zarr") is None:
        msg = f"writing {str(path)!r} needs ome-zarr: pip install 'scif-tools[images]', or give a TIFF as output."
        raise ModuleNotFoundError(msg)
    if wrong := [letter for letter in axes if letter not in _ORDER]:
        msg = f"OME-Zarr has the axes t, c, z, y and x, not {wrong}; give axes by these letters, or a TIFF as output."
        raise ValueError(msg)


def stage_ngff(path: Path) -> Path:
    """Where the pixels of an OME-Zarr image lie until they are whole."""
    return path.with_name(f"{path.name}.pixels.zarr")


def finish_ngff(original: ImageFile, path: Path, axes: str) -> None:
    """Write the OME-Zarr image from its pixels, level by level, and remove these."""
    import dask.array as da
    import zarr
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.scale import Methods
    from ome_zarr.writer import add_metadata, write_image

    keep = original.keep if original.keep.get("ngff") else {}
    fmt = FormatV04() if str(keep.get("version", "0.5")) < "0.5" else FormatV05()
    letters = "".join(letter for letter in _ORDER if letter in axes)
    pixels = da.from_zarr(str(stage_ngff(path))).transpose([axes.index(letter) for letter in letters])
    group = zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format)
    described = keep.get("axes") if keep.get("axes") and not isinstance(keep["axes"][0], str) else None
    names = described if described and len(described) == len(letters) else _described(original, letters)
    steps, shift = _steps(original, letters)
    sides = [pixels.shape[letters.index(letter)] for letter in "YX"]
    asked = keep.get("levels", 1)
    factors = [2**k for k in range(1, max(5, asked)) if min(sides) // 2**k >= (_SMALLEST if k >= asked else 1)]
    write_image(
        pixels,
        group,
        scale_factors=factors,
        name=keep.get("name") or original.path.name.split(".")[0],
        method=Methods.LOCAL_MEAN,
        fmt=fmt,
        axes=names,
        scale=steps,
        axes_units={axis["name"]: axis["unit"] for axis in names if "unit" in axis},
        storage_options={"chunks": _chunks(letters, pixels.shape)},
    )
    if keep.get("omero"):
        add_metadata(group, {"omero": keep["omero"]}, fmt)
    if shift or keep.get("whole"):
        _move(group, shift, keep.get("whole", []))
    shutil.rmtree(stage_ngff(path))


def _move(group: Any, shift: Any, whole: Any) -> None:
    """Put the translation of the levels and the transformations of all of them back."""
    holder = dict(group.attrs["ome"]) if "ome" in group.attrs else dict(group.attrs)
    one = dict(holder["multiscales"][0])
    if shift:
        for dataset in one["datasets"]:
            steps = {step["type"]: step for step in dataset["coordinateTransformations"]}
            own = steps.get("translation", {}).get("translation", [0.0] * len(shift))  # of the centres of its pixels
            moved = [a + b for a, b in zip(shift, own, strict=True)]
            dataset["coordinateTransformations"] = [steps["scale"], {"type": "translation", "translation": moved}]
    if whole:
        one["coordinateTransformations"] = whole
    holder["multiscales"] = [one]
    group.attrs.update({"ome": holder} if "ome" in group.attrs else holder)


def _described(original: ImageFile, letters: str) -> list[dict[str, str]]:
    """Axes as OME-Zarr has them, with units where a TIFF or another file names them."""
    about = original.keep.get("metadata", {})
    result = []
    for letter in letters:
        axis = {"name": letter.lower(), "type": _TYPES.get(letter, "space")}
        unit = about.get(f"PhysicalSize{letter}Unit", "µm" if f"PhysicalSize{letter}" in about else None)
        if letter == "T" and "TimeIncrement" in about:
            axis["unit"] = "second"
        elif unit in _UNITS:
            axis["unit"] = _UNITS[unit]
        result.append(axis)
    return result


def _steps(original: ImageFile, letters: str) -> tuple[dict[str, float], list[float] | None]:
    """Size of a pixel along every axis, and where the first one is, if that is known."""
    found = {step["type"]: step for step in original.keep.get("transformations", [])}
    if "scale" in found:
        scale = [float(value) for value in found["scale"]["scale"]]
        return dict(zip(letters.lower(), scale, strict=True)), found.get("translation", {}).get("translation")
    about = original.keep.get("metadata", {})
    sizes = {letter: about.get(f"PhysicalSize{letter}", 1.0) for letter in letters}
    sizes["T"] = about.get("TimeIncrement", 1.0)
    return {letter.lower(): float(sizes[letter]) for letter in letters}, None


def _chunks(axes: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """One image of a stack to a chunk, cut where it is large: tiles are written strip by strip."""
    return tuple(
        min(n, 512) if letter in "YX" else min(n, 32) if letter == "Z" else 1
        for letter, n in zip(axes, shape, strict=True)
    )


def _letters(names: Any) -> str | None:
    """The axes as a string, if every name is a single letter."""
    return "".join(names).upper() if names and all(isinstance(n, str) and len(n) == 1 for n in names) else None
