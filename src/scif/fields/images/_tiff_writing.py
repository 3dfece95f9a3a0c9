"""TIFF and OME-TIFF written tile by tile, with the metadata of the original."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from scif.fields.images._image_file import ImageFile
from scif.fields.images._joined import Joined

__all__ = ["create_tiff"]

_OME_LETTERS = "TZCYXSRAEHPQ"
_BEYOND_32_BITS = 2**32 - 2**25
"""Bytes from which on offsets need 64 bits, with room for the metadata."""


def create_tiff(original: ImageFile, path: Path, axes: str, dtype: np.dtype[Any]) -> Any:
    """An empty writable array in a new TIFF, of the shape and with the metadata of an opened image.

    The disk's space is taken at once, so that a full disk is an error here and no crash later.
    """
    import tifffile

    keep = dict(original.keep) if original.writes_tiff else {}
    if keep.get("imagej") and dtype not in (np.uint8, np.uint16, np.float32):
        keep.pop("imagej")
    if keep.get("photometric") == "palette" and dtype != original.source.dtype:
        keep = {key: value for key, value in keep.items() if key not in ("photometric", "colormap")}
    parts = original.source.parts if isinstance(original.source, Joined) else [original.source]
    letters = axes[1:] if isinstance(original.source, Joined) else axes
    colour = keep.setdefault("photometric", "minisblack") == "rgb"
    letters = letters.replace("C", "S") if colour else letters
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff")) and not keep.get("imagej")
    if ome:
        letters = _as_ome(letters)
    metadata = {**keep.pop("metadata", {}), "axes": letters}
    imagej = keep.pop("imagej", False) and len(parts) == 1
    nbytes = sum(int(np.prod(part.shape)) for part in parts) * dtype.itemsize
    with tifffile.TiffWriter(path, ome=ome, imagej=imagej, bigtiff=not imagej and nbytes > _BEYOND_32_BITS) as tif:
        places = [
            tif.write(
                shape=part.shape,
                dtype=dtype,
                metadata=metadata,
                align=tifffile.TIFF.ALLOCATIONGRANULARITY,
                returnoffset=True,
                **keep,
            )
            for part in parts
        ]
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    arrays = []
    for part, place in zip(parts, places, strict=True):
        assert place is not None  # uncompressed
        arrays.append(np.memmap(path, dtype, "r+", place[0], tuple(part.shape)))
    return arrays[0] if len(arrays) == 1 else Joined(arrays)


def _as_ome(letters: str) -> str:
    """Axes with letters that OME knows in the place of those that it does not."""
    for letter in letters:
        if letter not in _OME_LETTERS:
            letters = letters.replace(letter, next(one for one in "TQPRAEH" if one not in letters))
    return letters
