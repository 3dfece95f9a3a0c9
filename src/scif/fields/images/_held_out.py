"""Crops that training does not see, on which it is judged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scif.fields.images._axes import ImageStack

__all__ = ["Box", "reserve"]

_SHARE = 0.08
"""Share of the crops that fit side by side: what is held out is not learnt from."""
_MOST = 64
"""Crops at most, which tell the squared error within a few per cent."""
_FEWEST = 2
"""Crops at least; fewer say more of their own scene than of training."""


@dataclass(frozen=True)
class Box:
    """A crop at one place of one image of a stack."""

    stack: int
    index: int
    corner: tuple[int, ...]

    def overlaps(self, other: Box, sides: Sequence[int]) -> bool:
        """Whether two crops of the same sides share a pixel."""
        near = (abs(a - b) < side for a, b, side in zip(self.corner, other.corner, sides, strict=True))
        return (self.stack, self.index) == (other.stack, other.index) and all(near)

    def region(self, sides: Sequence[int]) -> list[slice]:
        """Where the crop is in its image."""
        return [slice(at, at + side) for at, side in zip(self.corner, sides, strict=True)]


def reserve(stacks: Sequence[ImageStack], sides: Sequence[int], *, seed: int) -> list[Box]:
    """Choose crops to hold out, spread over all images; none if the images are too small to spare any.

    They lie at the borders of images, where they are in the way of the fewest other crops.

    Parameters
    ----------
    stacks
        The images.
    sides
        Sides of a crop.
    seed
        Seed of the choice.
    """
    rng = np.random.default_rng((seed, 1))
    counts = [math.prod(n // side for n, side in zip(stack.spatial, sides, strict=True)) for stack in stacks]
    total = sum(count * len(stack) for count, stack in zip(counts, stacks, strict=True))
    wanted = min(int(_SHARE * total), _MOST)
    if wanted < _FEWEST:
        return []
    images = [(k, index) for k, stack in enumerate(stacks) for index in range(len(stack))]
    shares = np.array([counts[k] for k, _ in images], dtype=float)
    places = np.searchsorted(np.cumsum(shares), (np.arange(wanted) + rng.random(wanted)) / wanted * total)
    boxes: list[Box] = []
    for place, several in itertools.groupby(np.minimum(places, len(images) - 1).tolist()):
        k, index = images[place]
        border = _border(stacks[k].spatial, sides)
        count = min(len(list(several)), len(border) // 2 + 1)
        chosen = rng.choice(len(border), size=count, replace=False)
        boxes += [Box(k, index, border[i]) for i in chosen]
    return boxes


def _border(spatial: Sequence[int], sides: Sequence[int]) -> list[tuple[int, ...]]:
    """Corners of the crops side by side along the border of the plane, inside the image."""
    steps = [np.linspace(0, n - side, n // side).round().astype(int) for n, side in zip(spatial, sides, strict=True)]
    places = itertools.product(*(range(len(step)) for step in steps))
    outer = [p for p in places if any(p[axis] in (0, len(steps[axis]) - 1) for axis in (-2, -1))]
    return [tuple(int(step[i]) for step, i in zip(steps, place, strict=True)) for place in outer]
