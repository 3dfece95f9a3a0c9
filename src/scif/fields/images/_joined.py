"""Views of sources on disk: several of one shape as one, and colours without their opaque alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Colours", "Joined"]


class Joined:
    """Several arrays of one shape as one with an axis more, read and written part by part.

    Parameters
    ----------
    parts
        Arrays with ``shape``, ``dtype`` and basic indexing, such as the series of a TIFF.

    Examples
    --------
    >>> both = Joined([np.zeros((4, 5)), np.ones((4, 5))])
    >>> both.shape, both[1, 2:4, 0].tolist()
    ((2, 4, 5), [1.0, 1.0])
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.shape = (len(self.parts), *self.parts[0].shape)
        self.dtype = np.dtype(self.parts[0].dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, rest = _split(key)
        if isinstance(first, slice):
            return np.stack([np.asarray(self.parts[k][rest]) for k in range(*first.indices(len(self.parts)))])
        return np.asarray(self.parts[first][rest])

    def __setitem__(self, key: Any, values: Any) -> None:
        first, rest = _split(key)
        if not isinstance(first, slice):
            self.parts[first][rest] = values
            return
        places = range(*first.indices(len(self.parts)))
        for k, value in zip(places, np.broadcast_to(values, (len(places), *np.shape(values)[1:])), strict=True):
            self.parts[k][rest] = value


class Colours:
    """An array of colours without the samples that follow the first three along an axis."""

    def __init__(self, source: Any, axis: int, *, count: int) -> None:
        self.source, self.axis, self.count = source, axis, count
        self.shape = tuple(count if k == axis else n for k, n in enumerate(source.shape))
        self.dtype = np.dtype(source.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        places = list(key if isinstance(key, tuple) else () if key is Ellipsis else (key,))
        places += [slice(None)] * (len(self.shape) - len(places))
        if isinstance(places[self.axis], slice):
            places[self.axis] = slice(*places[self.axis].indices(self.count))
        return np.asarray(self.source[tuple(places)])


def _split(key: Any) -> tuple[Any, Any]:
    """The part of an index that is for the first axis, and the others."""
    if key is Ellipsis:
        return slice(None), Ellipsis
    return (key[0], key[1:] or Ellipsis) if isinstance(key, tuple) else (key, Ellipsis)
