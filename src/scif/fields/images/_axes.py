"""Axes given as a string, and images read as ``(channels, *spatial)`` without loading the whole source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.nn.reflect import reflect_indices

__all__ = ["Axes", "ImageStack"]

_SPATIAL = {2: "YX", 3: "ZYX"}


@dataclass(frozen=True)
class Axes:
    """The meaning of an array's axes: one letter each.

    ``Y``, ``X`` (and ``Z`` for three-dimensional work) are spatial and ``C`` is the channel; every other letter, and
    ``Z`` in two-dimensional work, counts separate images (time points, positions, planes).

    Parameters
    ----------
    text
        For example ``"TCZYX"``; in any order.
    ndim
        Number of spatial axes, 2 or 3.

    Examples
    --------
    >>> Axes("TCZYX", 2).samples
    'TZ'
    """

    text: str
    ndim: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            msg = f"axes is {self.text!r}; give one letter for each axis, such as 'TCYX'."
            raise TypeError(msg)
        object.__setattr__(self, "text", self.text.upper())
        if self.ndim not in _SPATIAL:
            msg = f"ndim is {self.ndim}; images have 2 or 3 spatial axes."
            raise ValueError(msg)
        if not self.text.isalpha() or len(set(self.text)) != len(self.text):
            msg = f"axes is {self.text!r}; give one letter for each axis, each once, such as 'TCYX'."
            raise ValueError(msg)
        missing = [letter for letter in self.spatial if letter not in self.text]
        if missing:
            msg = f"axes is {self.text!r}, without {missing}; images with ndim={self.ndim} need {self.spatial}."
            raise ValueError(msg)

    @classmethod
    def guess(cls, n_axes: int, ndim: int) -> Axes:
        """Axes of an array without any given: the spatial ones last, after at most one that counts images."""
        if n_axes - ndim not in (0, 1):
            msg = f"an image array has {n_axes} axes and axes was not given; name them, for example axes='TCYX'."
            raise ValueError(msg)
        return cls("N" * (n_axes - ndim) + _SPATIAL[ndim], ndim)

    @property
    def spatial(self) -> str:
        """The spatial letters, in the order in which images are worked on."""
        return _SPATIAL[self.ndim]

    @property
    def samples(self) -> str:
        """The letters that count separate images."""
        return "".join(letter for letter in self.text if letter not in self.spatial + "C")


class ImageStack:
    """An array, in memory or not, as a sequence of images ``(channels, *spatial)`` read piece by piece.

    Parameters
    ----------
    source
        Anything with ``shape``, ``dtype`` and basic indexing: NumPy and zarr arrays, memory maps, dask arrays.
    axes
        Meaning of its axes.

    Examples
    --------
    >>> stack = ImageStack(np.zeros((5, 7, 9, 3)), Axes("TYXC"))
    >>> len(stack), stack.channels, stack.spatial
    (5, 3, (7, 9))
    >>> stack.read(4, (slice(0, 2), slice(-3, 3))).shape
    (3, 2, 6)
    """

    def __init__(self, source: Any, axes: Axes) -> None:
        if len(source.shape) != len(axes.text):
            msg = f"axes is {axes.text!r} but the array has shape {tuple(source.shape)}; give one letter for each axis."
            raise ValueError(msg)
        if 0 in source.shape:
            msg = f"an image array has shape {tuple(source.shape)}; no axis may be empty."
            raise ValueError(msg)
        self.source, self.axes, self.dtype = source, axes, np.dtype(source.dtype)
        if self.dtype.kind not in "fui":
            msg = f"an image array has dtype {self.dtype}; images hold floats or integers."
            raise TypeError(msg)
        sizes = dict(zip(axes.text, source.shape, strict=True))
        self.channels = int(sizes.get("C", 1))
        self._chosen = slice(None)
        self.spatial = tuple(int(sizes[letter]) for letter in axes.spatial)
        self._counts = tuple(int(sizes[letter]) for letter in axes.samples)

    def __len__(self) -> int:
        return math.prod(self._counts)

    def only(self, channel: int) -> ImageStack:
        """The same images with one of their channels."""
        one = ImageStack(self.source, self.axes)
        one.channels, one._chosen = 1, slice(channel, channel + 1)
        return one

    def read(self, index: int, region: Sequence[slice] | None = None) -> NDArray[Any]:
        """Image ``index``, or a region of it that may reach beyond the border, where it is mirrored.

        Returns
        -------
        Array of ``(channels, *spatial)`` in the dtype of the source; half precision in single, which SciPy knows.
        """
        region = [slice(0, n) for n in self.spatial] if region is None else region
        inner, outer = [], []
        for part, n in zip(region, self.spatial, strict=True):
            folded = reflect_indices(part.start, part.stop, n)
            inner.append(slice(int(folded.min()), int(folded.max()) + 1))
            outer.append(folded - inner[-1].start)
        block = np.asarray(self.source[self._locate(index, inner)])
        block = block.astype(np.float32) if block.dtype == np.float16 else block
        block = block.transpose(self._order) if "C" in self.axes.text else block.transpose(self._order)[None]
        for axis, folded in enumerate(outer, start=1):
            if len(folded) != block.shape[axis] or folded[0] != 0 or (np.diff(folded) != 1).any():
                block = block.take(folded, axis=axis)
        return block

    @property
    def frames(self) -> int:
        """Number of frames of each movie; 1 without an axis ``T``."""
        return self._counts[self.axes.samples.index("T")] if "T" in self.axes.samples else 1

    def time(self, index: int) -> int:
        """Which frame of its movie an image is, from 0."""
        return int(np.unravel_index(index, self._counts)[self.axes.samples.index("T")]) if self.frames > 1 else 0

    def later(self, index: int, by: int) -> int:
        """The frame of the same movie that comes ``by`` frames later, which must be there."""
        return index if by == 0 else index + by * math.prod(self._counts[self.axes.samples.index("T") + 1 :])

    def following(self, index: int) -> int | None:
        """The next frame of the same movie, if there is an axis ``T`` and a frame after this."""
        return self.later(index, 1) if self.time(index) + 1 < self.frames else None

    def has_values(self, index: int, region: Sequence[slice]) -> bool:
        """Whether a region holds measurements enough to train on; here every pixel is taken for one."""
        return True

    def restored(
        self, index: int, start: Sequence[int], values: NDArray[Any], *, kept: float | None = None
    ) -> NDArray[Any]:
        """Denoised ``values``, with what is no measurement as it was; here every pixel is taken for one."""
        return values

    def write(self, index: int, start: Sequence[int], values: NDArray[Any]) -> None:
        """Put ``values`` ``(channels, *spatial)`` into image ``index`` at ``start``; the source must be writable."""
        region = [slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True)]
        values = values if "C" in self.axes.text else values[0]
        self.source[self._locate(index, region)] = values.transpose(np.argsort(self._order))

    def _locate(self, index: int, region: Sequence[slice]) -> tuple[int | slice, ...]:
        """Index of a region in the source's own order of axes."""
        position = dict(zip(self.axes.samples, np.unravel_index(index, self._counts), strict=True))
        place: dict[str, int | slice] = {letter: int(i) for letter, i in position.items()}
        place |= dict(zip(self.axes.spatial, region, strict=True)) | {"C": self._chosen}
        return tuple(place[letter] for letter in self.axes.text)

    @property
    def _order(self) -> tuple[int, ...]:
        """Where channel and spatial axes are among the source's axes that remain after indexing one image."""
        kept = [letter for letter in self.axes.text if letter not in self.axes.samples]
        return tuple(kept.index(letter) for letter in "C" + self.axes.spatial if letter in kept)
