"""Pixels that are no measurement: padding, blank frames, saturated areas and hot pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MARGIN", "Mask", "Unmeasured"]

MARGIN = 12
"""Pixels around a region that its mask depends on."""
_SIDE = 5
"""Side of the smallest square of one value that counts as padding."""
_WIDE = 12
"""Side of a square of one value that is neither the least nor the largest of its image, from which on it is padding."""
_TIP = 8
"""Reach, in pixels, at which the same value belongs to padding, too: tips of wedges are narrow."""
_RING = 8
"""Reach, in pixels, of the surroundings that tell padding from darkness with few photons."""
_COMMON = 0.5
"""Share of the surroundings that has the value of an area: from here on the value is common, and no padding."""
_EVENT_SHARE = 5e-4
"""Share of single pixels of other values in an area, from which on it is darkness with few photons."""
_BINS = 20
_STRAY = 5.0
"""Least deviation of a hot pixel from its neighbours, in units of what 5% of pixels exceed: 11 sigma if Gaussian."""
_EVENTS = 8.0
"""The same in units of what a quarter of the pixels that deviate at all exceed: eight photons where light is scarce."""
_LONELY = 0.2
"""Most that the second-brightest neighbour of a hot pixel may deviate, in units of the hot pixel: optics blur."""
_EXTREME = 5.0
"""Deviation, in units of the least of a hot pixel, from which on two of its neighbours may be hot, too."""
_ROUNDS = 3
_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


@dataclass(frozen=True)
class Mask:
    """Which pixels of an array ``(..., height, width)`` are no measurement."""

    constant: NDArray[np.bool_]
    """Padding, blank frames and saturated areas."""
    hot: NDArray[np.bool_]
    """Single pixels far from all their neighbours."""


@dataclass(frozen=True)
class Unmeasured:
    """Rules for pixels that are no measurement, found in images of one channel.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(100, 5, size=(64, 64))
    >>> image[:, :10] = 0
    >>> image[40, 40] = 4095
    >>> found = Unmeasured.find([image])
    >>> print(found)
    15.6% of the pixels are padding, blank or saturated (of value 0) and kept as they are; 1 hot pixel is filled ...
    """

    padding: tuple[float, ...]
    """Values of areas without noise that are rare outside them."""
    common: tuple[float, ...]
    """Values of areas without noise that are as frequent around them: darkness, not padding."""
    brightness: NDArray[np.float64]
    deviation: NDArray[np.float64]
    """Least deviation of a hot pixel by the brightness of its neighbours."""
    constant_share: float = 0.0
    hot_share: float = 0.0
    hot_count: int = 0

    @classmethod
    def find(cls, planes: Iterable[NDArray[Any]]) -> Unmeasured:
        """Learn from planes ``(height, width)`` what is no measurement in them."""
        planes = [np.asarray(plane) for plane in planes]
        whole = [plane for plane in planes if plane.size and np.ptp(plane) > 0]
        blank = [plane for plane in planes if plane.size and np.ptp(plane) == 0]
        padding, common = _areas(whole)
        padding += [value for value in {float(plane.flat[0]) for plane in blank} if value not in common + padding]
        found = _if_apart(cls(tuple(padding), tuple(common), *_deviations(whole, padding)), whole)
        masks = [replace(found, hot_count=1).mask(plane) for plane in planes]
        total = max(sum(plane.size for plane in planes), 1)
        hot = int(sum(mask.hot.sum() for mask in masks))
        constant = int(sum(mask.constant.sum() for mask in masks))
        return cls(found.padding, found.common, found.brightness, found.deviation, constant / total, hot / total, hot)

    def __bool__(self) -> bool:
        return self.constant_share > 0 or self.hot_count > 0

    def __str__(self) -> str:
        parts = []
        if self.constant_share:
            values = ", ".join(f"{value:g}" for value in self.padding[:4])
            parts.append(
                f"{_percent(self.constant_share)} of the pixels are padding, blank or saturated (of value {values}) "
                "and kept as they are"
            )
        if self.hot_count:
            verb = "pixel is" if self.hot_count == 1 else f"pixels ({_percent(self.hot_share)}) are"
            parts.append(f"{self.hot_count} hot {verb} filled from their neighbours")
        return "; ".join(parts) or "every pixel is a measurement"

    def mask(self, block: NDArray[Any]) -> Mask:
        """Mask of ``(..., height, width)``; pixels within :data:`MARGIN` of a cut edge may be missed."""
        return self.mend(block)[1]

    def mend(self, block: NDArray[Any]) -> tuple[NDArray[Any], Mask]:
        """The block with a neighbour's value in hot pixels, and what is constant filled with the image's mirror image.

        Both are real pixel values, with real noise. A block without any measurement is returned as it is.
        """
        constant = self.constant(block)
        if constant.any() and not constant.all():
            block = _mirrored(block, constant)
        if not self.hot_count:  # nothing to look for, which saves most of the time
            return block, Mask(constant, np.zeros(block.shape, dtype=bool))
        hot, block = self._hot(block)
        return block, Mask(constant, hot & ~constant)

    def constant(self, block: NDArray[Any]) -> NDArray[np.bool_]:
        """Padding, blank frames and saturated areas in ``(..., height, width)``."""
        first = block[..., :1, :1]
        blank = (block == first).all(axis=(-2, -1), keepdims=True) & ~np.isin(first, self.common)
        result = np.broadcast_to(blank, block.shape).copy()
        return result | _opened(block, self.padding) if self.padding else result

    def _hot(self, block: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Hot pixels, and the block without them. Neighbouring ones become single as their neighbours are filled."""
        found = np.zeros(block.shape, dtype=bool)
        if not len(self.brightness):
            return found, block
        for _ in range(_ROUNDS):
            middle = _neighbour(block, 3)
            off = block.astype(np.float64) - middle
            far = np.abs(off) > np.interp(middle, self.brightness, self.deviation)
            if not far.any():
                break
            second = np.where(off > 0, _neighbour(block, 6), _neighbour(block, 1)).astype(np.float64)
            other = np.where(off > 0, _neighbour(block, 1), _neighbour(block, 6)).astype(np.float64)
            noise = np.interp(middle, self.brightness, self.deviation) / _STRAY
            hot = far & (np.abs(second - other) < _LONELY * np.abs(off) + 2 * noise)
            if (extreme := far & (np.abs(off) > _EXTREME * _STRAY * noise)).any():  # clusters of three
                third = np.where(off > 0, _neighbour(block, 5), _neighbour(block, 2)).astype(np.float64)
                hot |= extreme & (np.abs(third - other) < _LONELY * np.abs(off))
            if not hot.any():
                break
            found |= hot
            block = np.where(hot, middle, block)
        return found, block


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.1f}%"


def _neighbour(block: NDArray[Any], rank: int) -> NDArray[Any]:
    """The neighbour of each pixel that is number ``rank`` of its eight by value."""
    around = _AROUND.reshape((1,) * (block.ndim - 2) + (3, 3))
    result: NDArray[Any] = ndimage.rank_filter(block, rank, footprint=around, mode="mirror")
    return result


def _opened(block: NDArray[Any], values: Iterable[float] | None = None, *, side: int = _SIDE) -> NDArray[np.bool_]:
    """Pixels in a square of one value, of the given ones or any."""
    size = (1,) * (block.ndim - 2) + (side, side)
    result = np.zeros(block.shape, dtype=bool)
    if values is None:
        flat = ndimage.maximum_filter(block, size) == ndimage.minimum_filter(block, size)
        return ndimage.maximum_filter(flat, size) if flat.any() else result
    for value in values:
        equal = block == value
        if np.count_nonzero(equal) >= _SIDE:
            core = ndimage.maximum_filter(ndimage.minimum_filter(equal, size), size)
            result |= ndimage.maximum_filter(core, (1,) * (block.ndim - 2) + (2 * _TIP + 1,) * 2) & equal
    return result


def _areas(planes: list[NDArray[Any]]) -> tuple[list[float], list[float]]:
    """Values of the areas without noise: those that are rare around them, and those that are common there."""
    inside: dict[float, int] = {}
    ring: dict[float, list[int]] = {}
    for plane in planes:
        areas = _opened(plane)
        values, counts = np.unique(plane[areas], return_counts=True)
        ends = (plane.min(), plane.max())
        for value, count in sorted(zip(values, counts, strict=True), key=lambda pair: -pair[1])[:8]:
            if value not in ends and not _opened(plane, side=_WIDE)[plane == value].any():
                continue
            area = areas & (plane == value)
            around = ndimage.maximum_filter(area, 2 * _RING + 1) & ~area
            inside[float(value)] = inside.get(float(value), 0) + int(count)
            seen = ring.setdefault(float(value), [0, 0])
            single = (_neighbour(area.astype(np.uint8), 1) > 0) & (plane != value)  # events in the dark
            dark = int(single.sum()) > 2 + _EVENT_SHARE * int(area.sum())
            seen[0] += int(around.sum()) if dark else int((plane[around] == value).sum())
            seen[1] += int(around.sum())
    padding = [value for value, (same, total) in ring.items() if total and same < _COMMON * total]
    common = [value for value in ring if value not in padding]
    return sorted(padding, key=lambda value: -inside[value]), common


def _deviations(planes: list[NDArray[Any]], padding: list[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least deviation of a hot pixel by brightness, from how far pixels usually are from their neighbours' middle."""
    middles, offs = [], []
    for plane in planes:
        if min(plane.shape) < 8:
            continue
        middle = _neighbour(plane, 3)
        kept = ~_opened(plane, padding)
        middles.append(middle[kept].astype(np.float64))
        offs.append(np.abs(plane[kept].astype(np.float64) - middle[kept]))
    empty = np.zeros(0)
    if not middles or not sum(len(one) for one in middles):
        return empty, empty
    middle, off = np.concatenate(middles), np.concatenate(offs)
    step = max(len(middle) // 1_000_000, 1)
    middle, off = middle[::step], off[::step]
    groups = np.array_split(np.argsort(middle, kind="stable"), min(_BINS, max(len(middle) // 500, 1)))
    brightness, deviation = [], []
    for group in groups:
        usual, nonzero = np.quantile(off[group], 0.95), off[group][off[group] > 0]
        if not len(nonzero):
            continue
        brightness.append(float(middle[group].mean()))
        deviation.append(max(_STRAY * float(usual), _EVENTS * float(np.quantile(nonzero, 0.75))))
    return np.array(brightness), np.array(deviation)


def _if_apart(found: Unmeasured, planes: list[NDArray[Any]]) -> Unmeasured:
    """The same without hot pixels if these are the end of a tail: amplified photons, fine specks of an image."""
    usual, nearer = replace(found, hot_count=1), replace(found, hot_count=1, deviation=found.deviation / 2)
    hot, tail = (sum(int(one.mask(plane).hot.sum()) for plane in planes) for one in (usual, nearer))
    if tail <= 2 * hot and hot:
        return found
    return replace(found, brightness=np.zeros(0), deviation=np.zeros(0))


def _mirrored(block: NDArray[Any], constant: NDArray[np.bool_]) -> NDArray[Any]:
    """The block with what is constant replaced by the mirror image of what is beside it."""
    result = block.copy()
    for index in np.ndindex(block.shape[:-2]):
        hole = constant[index]
        if not hole.any() or hole.all():
            continue
        plane, (rows, columns) = block[index], np.nonzero(hole)
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)[:, rows, columns]
        across = np.stack([2 * nearest[0] - rows, 2 * nearest[1] - columns])
        inside = (across >= 0).all(0) & (across[0] < hole.shape[0]) & (across[1] < hole.shape[1])
        across = np.where(inside, across, nearest)
        across = np.where(hole[across[0], across[1]], nearest, across)
        result[(*index, rows, columns)] = plane[across[0], across[1]]
    return result
