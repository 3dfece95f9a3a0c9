"""What users pass for images: arrays, files and lists of these, brought to one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._io import ImageFile, open_image

__all__ = ["Input", "open_images"]


@dataclass(frozen=True)
class Input:
    """One array or file: its images, and the file that they came from if any."""

    stack: ImageStack
    file: ImageFile | None


def open_images(images: Any, *, axes: str | None, ndim: int) -> list[Input]:
    """Open an array, a path, or a list of these, without reading pixels.

    Parameters
    ----------
    images
        NumPy, zarr or dask array, path of a TIFF or zarr image, or a list of these of different sizes.
    axes
        Letters of the axes, for all; those that a file names, or ``"YX"`` after at most one more, if not given.
    ndim
        Number of spatial axes.

    Raises
    ------
    ValueError
        If there are no images, or they differ in their number of channels.
    """
    several = images if isinstance(images, list | tuple) else [images]
    inputs = [_open(one, axes, ndim) for one in several]
    if not inputs:
        msg = "images is empty; pass at least one image."
        raise ValueError(msg)
    counts = sorted({one.stack.channels for one in inputs})
    if len(counts) > 1:
        msg = f"images have {counts} channels; pass images with equally many, or name the channel 'C' in axes."
        raise ValueError(msg)
    return inputs


def _open(image: Any, axes: str | None, ndim: int) -> Input:
    if isinstance(image, str | Path):
        file = open_image(image)
        letters = axes or file.axes
        source = file.source
    else:
        file, letters, source = None, axes, image
        if not all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
            msg = f"an image is a {type(image).__name__}; pass an array, the path of a file, or a list of these."
            raise TypeError(msg)
    meaning = Axes(letters, ndim) if letters else Axes.guess(len(source.shape), ndim)
    return Input(ImageStack(source, meaning), file)
