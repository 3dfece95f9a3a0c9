"""Images as users pass them, brought to one form: arrays, files and lists of these."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._image_file import ImageFile
from scif.fields.images._io import open_image

__all__ = ["Input", "open_images"]

_PIECE = 16_000_000
"""Pixels that are looked at together."""
_COLOURS = 4
"""Pixels along the last of three axes, up to which these are taken for colours rather than columns."""


@dataclass(frozen=True)
class Input:
    """One array or file: its images, and the file that they came from if any."""

    stack: ImageStack
    file: ImageFile | None


def open_images(images: Any, *, axes: str | None, ndim: int, once: bool = False) -> list[Input]:
    """Open an array, a path, or a list of these, without reading pixels.

    Parameters
    ----------
    images
        NumPy, zarr or dask array, path of an image file, an :class:`ImageFile`, or a list of these of different sizes.
    axes
        Letters of the axes, for all; those that a file names, or ``"YX"`` after at most one more, if not given.
    ndim
        Number of spatial axes.
    once
        Whether an image that is listed twice is taken once, with a warning, and every pixel is checked to be finite:
        for training, which sees pixels here and there.

    Raises
    ------
    ValueError
        If there are no images, they differ in their number of channels, or a pixel is not finite.
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
    if not once:
        return inputs
    for k, one in enumerate(inputs):
        _check_finite(k, one)
    return _distinct(inputs) if len(inputs) > 1 else inputs


def _open(image: Any, axes: str | None, ndim: int) -> Input:
    if isinstance(image, str | Path):
        image = open_image(image)
    if isinstance(image, ImageFile):
        file: ImageFile | None = image
        letters, source = axes or image.axes, image.source
    else:
        file, letters, source = None, axes, image
        if not all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
            msg = f"an image is a {type(image).__name__}; pass an array, the path of a file, or a list of these."
            raise TypeError(msg)
    if str(source.dtype).startswith("torch."):
        msg = "an image is a Tensor; pass an array, as in images.numpy()."
        raise TypeError(msg)
    if not axes:
        _check_named(letters or "", source.shape, file)
    meaning = Axes(letters, ndim) if letters else Axes.guess(len(source.shape), ndim)
    return Input(ImageStack(source, meaning), file)


def _check_named(letters: str, shape: Sequence[int], file: ImageFile | None) -> None:
    """Raise where a file does not name its axes, or the last of axes without names are colours and not columns."""
    name = repr(str(file.path)) if file else "an image array"
    if len(set(letters)) < len(letters):
        msg = f"{name} has shape {tuple(shape)} and does not say which axis is which; pass axes=, such as 'TCYX'."
        raise ValueError(msg)
    unnamed = not letters or letters[0] in "QIN"
    if unnamed and len(shape) == 3 and shape[2] <= _COLOURS < min(shape[:2]):
        msg = f"{name} has shape {tuple(shape)}; if the last axis is colours, pass axes='YXC', otherwise 'NYX'."
        raise ValueError(msg)


def _check_finite(number: int, one: Input) -> None:
    """Read images of floats piece by piece, and raise where a pixel is not finite."""
    stack = one.stack
    if stack.dtype.kind != "f":
        return
    rows = max(_PIECE // max(math.prod(stack.spatial[:-2]) * stack.spatial[-1] * stack.channels, 1), 1)
    whole = [slice(0, n) for n in stack.spatial]
    for index in range(len(stack)):
        for start in range(0, stack.spatial[-2], rows):
            region = [*whole[:-2], slice(start, min(start + rows, stack.spatial[-2])), whole[-1]]
            bad = int((~np.isfinite(stack.read(index, region))).sum())
            if bad:
                name = f" {str(one.file.path)!r}" if one.file else ""
                plane = f" in plane {index} of {len(stack)}" if len(stack) > 1 else ""
                msg = (
                    f"image {number}{name} holds {bad} values that are NaN or infinite{plane}; fix or crop them, or "
                    "set them to 0."
                )
                raise ValueError(msg)


def _distinct(inputs: list[Input]) -> list[Input]:
    """Inputs without those whose pixels another one has: no two exposures have the same noise."""
    seen: dict[str, int] = {}
    kept = []
    for k, one in enumerate(inputs):
        print_ = _fingerprint(one.stack)
        if print_ is not None and print_ in seen:
            names = [repr(str(other.file.path)) if other.file else "" for other in (inputs[seen[print_]], one)]
            warnings.warn(
                f"image {k} {names[1]} has the pixels of image {seen[print_]} {names[0]}; it is taken once.",
                stacklevel=4,
            )
            continue
        if print_ is not None:
            seen[print_] = k
        kept.append(one)
    return kept


def _fingerprint(stack: ImageStack) -> str | None:
    """Hash of a few pieces of a stack, where they are not blank; ``None`` for blank images, which may be equal."""
    digest, blank = hashlib.sha256(str((len(stack), stack.channels, stack.spatial, stack.dtype)).encode()), True
    for index in sorted({0, len(stack) // 2, len(stack) - 1}):
        middle = [slice(max(n // 2 - 64, 0), min(n // 2 + 64, n)) for n in stack.spatial]
        piece = np.ascontiguousarray(stack.read(index, middle))
        blank &= bool((piece == piece.flat[0]).all())
        digest.update(piece.tobytes())
    return None if blank else digest.hexdigest()
