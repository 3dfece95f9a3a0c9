"""Where results go: an array like the input, or a file beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images._axes import ImageStack
from scif.fields.images._inputs import Input
from scif.fields.images._io import check_free, create_like, path_beside

__all__ = ["Output", "open_output", "to_dtype", "unfinished"]


@dataclass(frozen=True)
class Output:
    """A writable array in memory or in a file, as images.

    A file has another name until it is finished: what was interrupted is not taken for a result.
    """

    stack: ImageStack
    path: Path | None

    def finish(self) -> Any:
        """Write to disk what is still in memory and give the file its name; the path, or the array without a file."""
        if self.path is None:
            return self.stack.source
        self._close()
        if self.path.is_dir():  # a zarr array that is to be replaced
            shutil.rmtree(self.path)
        return unfinished(self.path).replace(self.path)

    def discard(self) -> None:
        """Remove a file that will not be finished."""
        if self.path is None:
            return
        self._close()
        partial = unfinished(self.path)
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)

    def _close(self) -> None:
        if isinstance(self.stack.source, np.memmap):
            self.stack.source.flush()
            self.stack.source._mmap.close()  # type: ignore[attr-defined]  # open files cannot be renamed everywhere


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
    dtype = stack.dtype if dtype is None else np.dtype(dtype)
    if one.file is None:
        if path is not None:
            msg = (
                f"out is {str(path)!r}, but the image is an array; pass images as files, or write the result yourself."
            )
            raise ValueError(msg)
        return Output(ImageStack(np.empty(stack.source.shape, dtype=dtype), stack.axes), None)
    path = path_beside(one.file.path) if path is None else Path(path)
    check_free(one.file, path, overwrite=overwrite)
    array = create_like(one.file, unfinished(path), axes=stack.axes.text, dtype=dtype, overwrite=True)
    return Output(ImageStack(array, stack.axes), path)


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
