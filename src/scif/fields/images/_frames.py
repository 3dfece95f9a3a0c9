"""Movies: the frames before and after an image, which a network sees beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scif.fields.images._axes import ImageStack
from scif.fields.images._look import frames_resemble
from scif.fields.images._seeing import Seeing

__all__ = ["Movie", "count_frames", "frames_of", "parted", "read_frames", "rows_of"]

_BY_DEFAULT = 2
"""Frames on either side that the network sees of a movie: 0.8 dB above 1 on a still scene, equal on a fast one."""


def count_frames(asked: int | str, stacks: Sequence[ImageStack], *, own_network: bool) -> int:
    """Number of frames on either side that a network trained on these images is to see.

    Parameters
    ----------
    asked
        The number, or ``"auto"``: for movies whose frames resemble one another, which unrelated images do not.
    stacks
        The images.
    own_network
        Whether the network is the user's, which sees one image at a time.

    Raises
    ------
    ValueError
        If frames are asked for, but an image is no movie, or the network takes none.
    """
    still = [k for k, stack in enumerate(stacks) if stack.frames < 2]
    if asked == "auto":
        return 0 if still or own_network or not frames_resemble(stacks) else _BY_DEFAULT
    count = int(asked)
    if count and own_network:
        msg = f"neighbour_frames is {count}, but your own network sees one image at a time; omit one of them."
        raise ValueError(msg)
    if count and still:
        msg = (
            f"neighbour_frames is {count}, but image {still[0]}, of axes {stacks[still[0]].axes.text!r}, has no second "
            "frame; name the time axis T, as in axes='TYX', or leave neighbour_frames out."
        )
        raise ValueError(msg)
    return count


def frames_of(count: int, stacks: Sequence[ImageStack]) -> int:
    """Number of frames on either side that there are for a network that sees ``count``: none, or as many.

    Warns
    -----
    UserWarning
        If several images are denoised each by itself, because no axis is time.
    """
    if all(stack.frames > 1 for stack in stacks):
        return count
    if count and any(len(stack) > 1 for stack in stacks):
        warnings.warn(
            f"no axis of the images (axes {stacks[0].axes.text!r}) is time, so each image is denoised separately. If "
            "they are a movie, name its axis T, as in axes='TYX': the network was trained with neighbouring frames.",
            UserWarning,
            stacklevel=3,
        )
    return 0


def read_frames(stack: ImageStack, index: int, region: Sequence[slice] | None = None, *, count: int) -> NDArray[Any]:
    """An image and the frames around it.

    Beyond an end of the movie the frame that is as far away on the other side takes the place of the missing one, and
    in very short movies the farthest that there is: never the image itself, whose noise would be taken for another.

    Returns
    -------
    ``((1 + 2 * count) * channels, *spatial)``: the image, then the frames from the earliest to the latest.
    """
    blocks = [stack.read(index, region)]
    blocks += [stack.read(stack.later(index, by), region) for by in _steps(stack.time(index), stack.frames, count)]
    return np.concatenate(blocks) if count else blocks[0]


def _steps(time: int, frames: int, count: int) -> list[int]:
    """How many frames away the neighbours of a frame are."""
    result = []
    for wanted in [*range(-count, 0), *range(1, count + 1)]:
        side = 1 if wanted > 0 else -1
        there = (by for far in range(abs(wanted), 0, -1) for by in (side * far, -side * far) if 0 <= time + by < frames)
        result.append(next(there))
    return result


def parted(x: Tensor, channels: int) -> dict[str, Tensor]:
    """Images as ``x1``, and the frames around them, if there are any, as ``around``: a batch of training."""
    return {"x1": x} if x.shape[1] == channels else {"x1": x[:, :channels], "around": x[:, channels:]}


def rows_of(condition: Mapping[str, Any], rows: slice) -> dict[str, Any]:
    """Conditions of some rows of a batch."""
    return {name: value[rows] for name, value in condition.items()}


class Movie(Seeing):
    """Shows a network the frames around an image besides the image itself.

    The frames are observations, and stay so at every time: what is known of them does not depend on how noisy the image
    is made. An image alone has zeros for them, the mean of the data.
    """

    def forward(self, x: Tensor, t: Tensor, around: Tensor | None = None) -> Tensor:
        """Run the network on normalised images, and on the frames around them in the units of the data, if any."""
        now = x.new_ones(x.shape[0])
        if around is None:
            frames = [torch.zeros_like(x)] * self.frames
        else:
            frames = [self.scaling.normalize(one, now) for one in around.split(x.shape[1], dim=1)]
        result: Tensor = self.net(torch.cat([x, *frames], dim=1), t)
        return result
