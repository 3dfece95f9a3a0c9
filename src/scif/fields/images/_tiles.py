"""Running a network over images too large for one pass: overlapping tiles, blended without a seam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TileAxis", "plan_axis", "run_tiled"]

Read = Callable[[Sequence[slice]], NDArray[np.floating]]
Run = Callable[[NDArray[np.floating]], NDArray[np.floating]]
Write = Callable[[Sequence[int], NDArray[np.floating]], None]


@dataclass(frozen=True)
class TileAxis:
    """Tiles along one axis: equally long, starting at ``starts``, the first before the border.

    ``weights`` ``(tiles, length)`` are zero at both ends, where a network has seen too little context, and add up to
    one at every position of the axis.
    """

    starts: tuple[int, ...]
    length: int
    weights: NDArray[np.float32]
    size: int


def plan_axis(size: int, *, tile: int, overlap: int, multiple: int = 1) -> TileAxis:
    """Cover an axis with tiles.

    Parameters
    ----------
    size
        Length of the axis.
    tile
        Longest tile, with its overlap.
    overlap
        How far neighbours reach into one another; three eighths at either end are dropped, the rest is blended, or
        as much of it as two tiles alone share.
    multiple
        Tiles start and end at multiples of this, which keeps the grid of a network that downsamples.

    Raises
    ------
    ValueError
        If a tile is not longer than its overlap.
    """
    margin = math.ceil(overlap * 3 / 8 / multiple) * multiple
    overlap = math.ceil(max(overlap, 2 * margin) / multiple) * multiple
    longest = tile // multiple * multiple
    if longest <= overlap:
        msg = f"tile is {tile} and overlap {overlap} on a grid of {multiple}; tiles must be longer than their overlap."
        raise ValueError(msg)
    span = size + 2 * margin
    count, length = _cut(span, overlap, longest, multiple)
    while length < 2 * (overlap - margin):  # more than two tiles would be blended in one place
        overlap -= multiple
        count, length = _cut(span, overlap, longest, multiple)
    starts = tuple(-margin + i * (length - overlap) for i in range(count))
    ramp = overlap - 2 * margin
    rise = np.concatenate([np.zeros(margin), (np.arange(ramp) + 1) / (ramp + 1)])
    window = np.ones(length)
    window[: len(rise)] = rise
    window[length - len(rise) :] = np.minimum(window[length - len(rise) :], rise[::-1])
    weights = np.tile(window, (count, 1))
    weights[0, : len(rise)] = weights[0, : len(rise)] > 0  # nothing to blend with beyond the border
    weights[-1, length - len(rise) :] = weights[-1, length - len(rise) :] > 0
    return TileAxis(starts, length, weights.astype(np.float32), size)


def _cut(span: int, overlap: int, longest: int, multiple: int) -> tuple[int, int]:
    """Number and length of the fewest tiles that cover a span."""
    count = max(math.ceil((span - overlap) / (longest - overlap)), 1)
    return count, math.ceil((span + (count - 1) * overlap) / count / multiple) * multiple


def run_tiled(read: Read, run: Run, write: Write, *, plan: Sequence[TileAxis], batch_size: int = 1) -> None:
    """Apply ``run`` to every tile of one image and hand the blended result on, strip by strip.

    Memory is that of one strip: a tile's length along the first spatial axis, the whole image along the others.

    Parameters
    ----------
    read
        Returns a region ``(channels, *spatial)``, mirrored beyond the border.
    run
        Maps a batch of tiles ``(batch, channels, *spatial)`` to one of the same spatial shape.
    write
        Receives the start of a finished strip and its values ``(channels, *spatial)``.
    plan
        One :class:`TileAxis` for each spatial axis.
    batch_size
        Tiles passed to ``run`` at once.
    """
    first, rest = plan[0], plan[1:]
    carried: NDArray[np.floating] | None = None
    for row, start in enumerate(first.starts):
        strip = _run_row(read, run, first, row, rest, batch_size)
        if carried is not None:
            strip[:, : carried.shape[1]] += carried
        following = first.starts[row + 1] if row + 1 < len(first.starts) else first.size
        begin, end = max(start, 0), min(following, first.size)
        if end > begin:
            write((begin, *([0] * len(rest))), strip[:, begin - start : end - start])
        carried = strip[:, following - start :]


def _run_row(
    read: Read, run: Run, first: TileAxis, row: int, rest: Sequence[TileAxis], batch_size: int
) -> NDArray[np.floating]:
    """Blend the tiles that share one position along the first axis: ``(channels, length, *whole rest)``."""
    strip: NDArray[np.floating] | None = None
    head = slice(first.starts[row], first.starts[row] + first.length)
    for places in _batched(itertools.product(*(range(len(axis.starts)) for axis in rest)), batch_size):
        regions = [
            [slice(axis.starts[i], axis.starts[i] + axis.length) for axis, i in zip(rest, place, strict=True)]
            for place in places
        ]
        results = run(np.stack([read([head, *region]) for region in regions]))
        if strip is None:
            strip = np.zeros((results.shape[1], first.length, *(axis.size for axis in rest)), dtype=np.float32)
        for place, result in zip(places, results, strict=True):
            weighted = result * _along(first.weights[row], 1, result.ndim)
            target, source = [slice(None), slice(None)], [slice(None), slice(None)]
            for k, (axis, i) in enumerate(zip(rest, place, strict=True), start=2):
                weighted = weighted * _along(axis.weights[i], k, result.ndim)
                low, high = max(axis.starts[i], 0), min(axis.starts[i] + axis.length, axis.size)
                target.append(slice(low, high))
                source.append(slice(low - axis.starts[i], high - axis.starts[i]))
            strip[tuple(target)] += weighted[tuple(source)]
    assert strip is not None  # every axis has at least one tile
    return strip


def _along(weights: NDArray[np.float32], axis: int, ndim: int) -> NDArray[np.float32]:
    return weights.reshape([-1 if k == axis else 1 for k in range(ndim)])


def _batched(items: Iterator[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    while batch := list(itertools.islice(items, size)):
        yield batch
