"""Batches of random crops from images of different sizes, in an order that can be resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scif.fields.images._axes import ImageStack
from scif.fields.images._frames import read_frames
from scif.fields.images._held_out import Box

__all__ = ["Patches", "crop_sides"]


_TRIES = 200
"""Crops without measurements that are passed over in a row; a stack of blank frames must not hang."""
_ALONE = 0.125
"""Share of the batches of movies without the frames around their crops."""


class Patches:
    """Random crops of images, in batches, drawn from a seed and the number of the batch alone.

    An image is drawn as often as its share of the pixels. Images are read crop by crop from where they are.

    Parameters
    ----------
    stacks
        The images.
    batch_size
        Crops in a batch.
    patch
        Side of a crop, or one for each spatial axis; an axis shorter than this is taken whole.
    steps
        Batches in a pass.
    prepare
        Turns an array of crops ``(batch, channels, *spatial)`` into the batch that training sees.
    flips
        Spatial axes, from 0, along which a crop may be mirrored.
    seed
        Seed of the order.
    reserved
        Crops that no other may overlap: they are held out.
    frames
        Number of frames on either side that go with each crop (:func:`read_frames`), but for one batch in eight: what
        is trained on movies works on an image alone, too.

    Examples
    --------
    >>> from scif.fields.images._axes import Axes
    >>> stack = ImageStack(np.zeros((3, 20, 30)), Axes("TYX"))
    >>> [tuple(batch.shape) for batch in Patches([stack], batch_size=4, patch=24, steps=2)]
    [(4, 1, 20, 24), (4, 1, 20, 24)]
    """

    def __init__(
        self,
        stacks: Sequence[ImageStack],
        *,
        batch_size: int,
        patch: int | Sequence[int],
        steps: int,
        prepare: Callable[[NDArray[Any]], Any] = torch.from_numpy,
        flips: Sequence[int] = (),
        seed: int = 0,
        reserved: Sequence[Box] = (),
        frames: int = 0,
    ) -> None:
        ndim = len(stacks[0].spatial)
        sides = (patch,) * ndim if isinstance(patch, int) else tuple(patch)
        if len(sides) != ndim or min(sides) < 8:
            msg = f"patch is {patch}; give one side, or one for each of the {ndim} spatial axes, none below 8 pixels."
            raise ValueError(msg)
        self.sides = crop_sides(stacks, sides)
        self.stacks, self.batch_size, self.steps = stacks, batch_size, steps
        self.prepare, self.flips, self.seed = prepare, tuple(flips), seed
        weights = np.array([len(stack) * math.prod(stack.spatial) for stack in stacks], dtype=float)
        self._share = weights / weights.sum()
        self.reserved, self.frames = tuple(reserved), frames
        self.position = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        end = (self.position // self.steps + 1) * self.steps
        while self.position < end:
            self.position += 1  # before the batch is handed out: a checkpoint made during its step counts it
            rng = np.random.default_rng((self.seed, self.position))
            alone = self.frames > 0 and rng.random() < _ALONE
            yield self.prepare(self._draw(rng, frames=0 if alone else self.frames))

    def peek(self, number: int) -> Any:
        """A batch of another order, for looking at."""
        return self.prepare(self._draw(np.random.default_rng((self.seed, 0, number)), frames=self.frames))

    def held_out(self) -> list[Any]:
        """The reserved crops, in batches."""
        boxes = [self.reserved[k : k + self.batch_size] for k in range(0, len(self.reserved), self.batch_size)]
        return [self.prepare(np.stack([self._read(box, self.frames) for box in batch])) for batch in boxes]

    def state_dict(self) -> dict[str, int]:
        """Where the order is: the number of batches handed out."""
        return {"position": self.position}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go back to where another order was."""
        self.position = state["position"]

    def _draw(self, rng: np.random.Generator, *, frames: int) -> NDArray[Any]:
        crops = []
        for which in rng.choice(len(self.stacks), size=self.batch_size, p=self._share):
            crop = self._read(self._place(int(which), rng), frames)
            crops.append(np.flip(crop, tuple(axis + 1 for axis in self.flips if rng.random() < 0.5)))
        return np.stack(crops)

    def _place(self, which: int, rng: np.random.Generator) -> Box:
        """A crop at random in one of the stacks, not on reserved ground."""
        stack = self.stacks[which]
        tries = 0
        while True:
            corner = tuple(int(rng.integers(n - side + 1)) for n, side in zip(stack.spatial, self.sides, strict=True))
            box = Box(which, int(rng.integers(len(stack))), corner)
            if not any(box.overlaps(other, self.sides) for other in self.reserved) and (
                tries == _TRIES or stack.has_values(box.index, box.region(self.sides))
            ):
                return box
            tries = min(tries + 1, _TRIES)

    def _read(self, box: Box, frames: int) -> NDArray[Any]:
        return read_frames(self.stacks[box.stack], box.index, box.region(self.sides), count=frames)


def crop_sides(stacks: Sequence[ImageStack], patch: Sequence[int]) -> tuple[int, ...]:
    """Sides of crops that fit into the smallest image."""
    smallest = np.min([stack.spatial for stack in stacks], axis=0)
    return tuple(min(side, int(n)) for side, n in zip(patch, smallest, strict=True))
