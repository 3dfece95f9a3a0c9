"""CZI, ND2 and LIF through bioio, which is an extra."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from scif.fields.images._image_file import ImageFile
from scif.fields.images._joined import Joined
from scif.fields.images._tiff import free_letter

__all__ = ["BIOIO", "read_bioio"]

BIOIO = {".czi": "bioio_czi", ".nd2": "bioio_nd2", ".lif": "bioio_lif"}
"""Ending of a file and the reader that bioio needs for it."""


def read_bioio(path: Path, series: int | None = None) -> ImageFile:
    """Open a microscope's own file lazily, with all of its scenes.

    Parameters
    ----------
    path
        A file that exists.
    series
        Which of several scenes; all, as one more axis, if not given and they have one shape.

    Raises
    ------
    ModuleNotFoundError
        If bioio or its reader is not installed.
    ValueError
        If the file cannot be read, or its scenes differ in shape.
    """
    reader = BIOIO[path.suffix.lower()]
    if any(importlib.util.find_spec(name) is None for name in ("bioio", reader)):
        msg = f"reading {str(path)!r} needs bioio: pip install 'scif-tools[bioio]', or export it as OME-TIFF."
        raise ModuleNotFoundError(msg)
    import bioio

    try:
        image: Any = bioio.BioImage(path, reader=importlib.import_module(reader).Reader)
        scenes = list(image.scenes)
        chosen = _chosen(path, scenes, series)
        sources, kept = [], []
        for scene in chosen:
            image.set_scene(scene)
            sources.append(image.dask_data)
            kept.append(_about(image))
        axes = str(image.dims.order)
    except Exception as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{str(path)!r} cannot be read by {reader.replace('_', '-')}: {why}"
        raise ValueError(msg) from error
    if "S" in axes:
        msg = f"{str(path)!r} holds colours as samples; export it as RGB TIFF."
        raise ValueError(msg)
    if len({(one.shape, str(one.dtype)) for one in sources}) > 1:
        listed = ", ".join(f"{k} {n}={one.shape}" for k, (n, one) in enumerate(zip(scenes, sources, strict=True)))
        msg = f"{str(path)!r} holds scenes that are not of one shape: {listed}; choose one with series= or --series."
        raise ValueError(msg)
    keep = {"metadata": kept[0]}
    if len(sources) == 1:
        return ImageFile(path, sources[0], axes, keep, series=series)
    return ImageFile(path, Joined(sources), free_letter(axes) + axes, keep, series=series)


def _chosen(path: Path, scenes: list[str], series: int | None) -> list[str]:
    if series is None:
        return scenes
    if not 0 <= series < len(scenes):
        msg = f"series is {series}, but the scenes are {', '.join(scenes)}."
        raise ValueError(msg)
    return [scenes[series]]


def _about(image: Any) -> dict[str, Any]:
    """Pixel sizes and channel names as an OME-TIFF has them."""
    sizes = image.physical_pixel_sizes
    about: dict[str, Any] = {}
    for letter in "ZYX":
        size = getattr(sizes, letter, None)
        if size:
            about |= {f"PhysicalSize{letter}": float(size), f"PhysicalSize{letter}Unit": "µm"}
    names = image.channel_names
    return about | ({"Channel": {"Name": [str(name) for name in names]}} if names else {})
