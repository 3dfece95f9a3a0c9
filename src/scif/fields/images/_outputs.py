"""Where results go: an array like the input, or a file beside it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images._axes import ImageStack
from scif.fields.images._inputs import Input, open_images
from scif.fields.images._io import (
    ImageFile,
    check_free,
    check_writable,
    create_like,
    finish_like,
    path_beside,
    path_of_std,
)
from scif.fields.images._ngff import stage_ngff

__all__ = ["Output", "check_outputs", "open_output", "output_paths", "paths_of_std", "to_dtype", "unfinished"]


@dataclass(frozen=True)
class Output:
    """A writable array in memory or in a file, as images.

    A file has another name until it is finished: what was interrupted is not taken for a result.
    """

    stack: ImageStack
    path: Path | None
    original: ImageFile | None = None

    def finish(self) -> Any:
        """Write to disk what is still in memory and give the file its name; the path, or the array without a file."""
        if self.path is None or self.original is None:
            return self.stack.source
        part = unfinished(self.path)
        finish_like(self.original, part, self.stack.source, axes=self.stack.axes.text)
        if self.path.is_dir():  # a zarr array that is to be replaced
            shutil.rmtree(self.path)
        return part.replace(self.path)

    def discard(self) -> None:
        """Remove a file that will not be finished."""
        if self.path is None:
            return
        for part in getattr(self.stack.source, "parts", [self.stack.source]):
            if isinstance(part, np.memmap):
                part._mmap.close()  # type: ignore[attr-defined]  # open files cannot be removed everywhere
        _remove(self.path)


def _remove(path: Path) -> None:
    """Remove what a result that was not finished has left."""
    partial = unfinished(path)
    for one in (partial, stage_ngff(partial)):
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f"unfinished_{path.name}")


def open_output(one: Input, path: str | Path | None, *, dtype: Any, overwrite: bool) -> Output:
    """An output of the shape of an input: a new array, or a new file for a file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is false, or is the input.
    ValueError
        If a path is given for an array, whose axes and pixel sizes are not known.
    """
    stack = one.stack
    dtype = stack.dtype if dtype is None else check_dtype(dtype)
    if one.file is None:
        if path is not None:
            msg = (
                f"out is {str(path)!r}, but the image is an array; pass images as files, or write the result yourself."
            )
            raise ValueError(msg)
        return Output(ImageStack(np.empty(stack.source.shape, dtype=dtype), stack.axes), None)
    path = _path_for(one, path)
    check_free(one.file, path, overwrite=overwrite)
    try:
        array = create_like(one.file, unfinished(path), axes=stack.axes.text, dtype=dtype, overwrite=True)
    except BaseException:
        _remove(path)
        raise
    return Output(ImageStack(array, stack.axes), path, one.file)


def _path_for(one: Input, path: str | Path | None) -> Path:
    assert one.file is not None
    return path_beside(one.file.path, series=one.file.series) if path is None else Path(path)


def check_outputs(inputs: Sequence[Input], outs: Sequence[str | Path | None], *, dtype: Any, overwrite: bool) -> None:
    """Raise before any work where a result could not be written, or would replace another or an input.

    Raises
    ------
    FileExistsError
        If an output exists and ``overwrite`` is false, or is one of the inputs.
    ValueError
        If two inputs have one output, or its format cannot hold the image.
    FileNotFoundError
        If the folder of an output does not exist.
    """
    if dtype is not None:
        check_dtype(dtype)
    taken: dict[Path, Input] = {}
    files = [one for one in inputs if one.file is not None]
    for one, to in zip(inputs, outs, strict=True):
        if one.file is None:
            continue
        path = _path_for(one, to)
        if (other := taken.setdefault(path.resolve(), one)) is not one and other.file is not None:
            msg = (
                f"{str(other.file.path)!r} and {str(one.file.path)!r} would both be written to {str(path)!r}; list "
                "each image once, and give images of one name in different folders outputs of their own (out=)."
            )
            raise ValueError(msg)
        for source in files:
            assert source.file is not None
            check_free(source.file, path, overwrite=overwrite)
        kind = one.stack.dtype if dtype is None else check_dtype(dtype)
        check_writable(one.file, path, axes=one.stack.axes.text, dtype=kind)
        if not path.parent.is_dir():
            msg = f"the folder {str(path.parent)!r} of the output does not exist; create it first."
            raise FileNotFoundError(msg)


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """The type of numbers that a name tells; raise ``ValueError`` unless it is one of floats or integers."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "fui":
        msg = f"dtype is {dtype!r}; give a type of floats or integers, such as 'float32' or 'uint16'."
        raise ValueError(msg)
    return found


def output_paths(
    images: Sequence[str | Path | ImageFile],
    *,
    axes: str | None = None,
    ndim: int = 2,
    folder: str | Path | None = None,
    dtype: Any = None,
    overwrite: bool = False,
) -> list[Path]:
    """Output paths for image files, checked before any work is done.

    Parameters
    ----------
    images
        Paths or opened files.
    axes, ndim
        Same as for :class:`~scif.fields.images.ImageDenoiser`.
    folder
        Folder for the results, under the names of the images. By default each result is next to its image, with
        ``_denoised``.
    dtype
        Data type of the results; default that of each image.
    overwrite
        Replace existing results.

    Raises
    ------
    ValueError
        If an image cannot be read, if two results would have the same name, or if the format cannot hold the result.
    FileExistsError
        If a result exists and ``overwrite`` is False, or if a result would replace an image.
    """
    inputs = open_images(list(images), axes=axes, ndim=ndim)
    outs: list[Path] = []
    for one in inputs:
        beside = _path_for(one, None)
        outs.append(beside if folder is None else Path(folder) / beside.name.replace("_denoised.", ".", 1))
    check_outputs(inputs, outs, dtype=dtype, overwrite=overwrite)
    return outs


def paths_of_std(inputs: Sequence[Input], outs: Sequence[str | Path | None]) -> list[Path | None]:
    """Where the standard deviations of results go; ``None`` for arrays."""
    return [path_of_std(_path_for(one, to)) if one.file else None for one, to in zip(inputs, outs, strict=True)]


def to_dtype(values: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values in another type: rounded to the nearest and kept inside the range for integers.

    Examples
    --------
    >>> to_dtype(np.array([-3.0, 1.6, 300.0]), np.dtype(np.uint8)).tolist()
    [0, 2, 255]
    """
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = np.clip(np.rint(values.astype(np.float64)), info.min, info.max)
    return values.astype(dtype)
