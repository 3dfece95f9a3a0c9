"""Images without the pixels that are no measurement."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images._axes import ImageStack
from scif.fields.images._held_out import Box
from scif.fields.images._mask import MARGIN, Unmeasured

__all__ = ["MeasuredStack", "measured", "measured_boxes"]

_SIDE = 512
"""Side of the regions in which padding and hot pixels are looked for."""
_LOOKED_AT = 48
"""Regions that are looked at for all images together."""


class MeasuredStack(ImageStack):
    """The images of another stack, read with hot pixels filled and padding replaced by the image's mirror image.

    Parameters
    ----------
    stack
        The images as they are.
    found
        What is no measurement, one for each channel.
    """

    def __init__(self, stack: ImageStack, found: Sequence[Unmeasured]) -> None:
        self.__dict__.update(stack.__dict__)
        self.found = tuple(found)

    def only(self, channel: int) -> ImageStack:
        """The same images with one of their channels."""
        return MeasuredStack(super().only(channel), self.found[channel : channel + 1])

    def read(self, index: int, region: Sequence[slice] | None = None) -> NDArray[Any]:
        """As :meth:`ImageStack.read`, mended."""
        return self._read(index, region)[0]

    def has_values(self, index: int, region: Sequence[slice]) -> bool:
        """Whether a region holds measurements enough to train on: half of its pixels."""
        block = super().read(index, region)
        shares = [found.constant(channel).mean() for found, channel in zip(self.found, block, strict=True)]
        return float(np.mean(shares)) <= 0.5

    def restored(
        self, index: int, start: Sequence[int], values: NDArray[Any], *, kept: float | None = None
    ) -> NDArray[Any]:
        """Denoised ``values`` ``(channels, *spatial)`` with what is no measurement, but for hot pixels, as it was.

        Or with the value ``kept`` there.
        """
        region = [slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True)]
        constant = self._read(index, region)[1]
        if not constant.any():
            return values
        return np.where(constant, super().read(index, region) if kept is None else kept, values)

    def _read(self, index: int, region: Sequence[slice] | None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        region = [slice(0, n) for n in self.spatial] if region is None else list(region)
        wide = [*region[:-2], *(slice(part.start - MARGIN, part.stop + MARGIN) for part in region[-2:])]
        block = super().read(index, wide)
        parts = [found.mend(channel) for found, channel in zip(self.found, block, strict=True)]
        inner = (slice(None), ...) + (slice(MARGIN, -MARGIN),) * 2
        return np.stack([one[0] for one in parts])[inner], np.stack([one[1].constant for one in parts])[inner]


def measured(stacks: Sequence[ImageStack], *, warn: bool = True) -> list[ImageStack]:
    """Each stack with the pixels that are no measurement found and mended.

    Warns
    -----
    UserWarning
        In one line: what was found and what happens to it.
    """
    result: list[ImageStack] = []
    said = []
    for k, stack in enumerate(stacks):
        regions = _regions(stack, max(_LOOKED_AT // len(stacks), 1))
        blocks = [stack.read(index, region) for index, region in regions]
        found = [
            Unmeasured.find([plane for block in blocks for plane in block[c].reshape(-1, *block.shape[-2:])])
            for c in range(stack.channels)
        ]
        said += [(k, one) for one in found if one]
        result.append(MeasuredStack(stack, found))
    if warn and said:
        first, one = said[0]
        also = f" ({len(said) - 1} more images or channels likewise)" if len(said) > 1 else ""
        warnings.warn(f"Image {first}: {one}{also}; none of these is calibrated or trained on.", stacklevel=3)
    return result


def measured_boxes(stacks: Sequence[ImageStack], boxes: Sequence[Box], sides: Sequence[int]) -> list[Box]:
    """Those of some crops that hold measurements."""
    return [box for box in boxes if stacks[box.stack].has_values(box.index, box.region(sides))]


def _regions(stack: ImageStack, count: int) -> list[tuple[int, list[slice]]]:
    """Corners and middles of images spread over the stack; whole planes where these are small."""
    rows, columns = stack.spatial[-2:]
    corners = sorted({(y, x) for y in _starts(rows) for x in _starts(columns)})
    indices = np.unique(np.linspace(0, len(stack) - 1, max(count // len(corners), 1)).round().astype(int))
    middle = [slice(n // 2, n // 2 + 1) for n in stack.spatial[:-2]]
    return [
        (int(index), [*middle, slice(y, min(y + _SIDE, rows)), slice(x, min(x + _SIDE, columns))])
        for index in indices
        for y, x in corners
    ]


def _starts(size: int) -> list[int]:
    return [0] if size <= _SIDE else sorted({0, (size - _SIDE) // 2, size - _SIDE})
