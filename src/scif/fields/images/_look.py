"""A few planes of images, enough to measure the noise; those of movies without their scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images._axes import ImageStack

__all__ = ["BLOCKS", "SCENE", "look", "look_at_noise"]

SCENE = 8.0
"""Width in pixels of the Gaussian that leaves of a scene its brightness, and no detail."""
BLOCKS = 2.0
"""Width that leaves the brightness of blocks of eight pixels as it is, and nothing in their finest details."""
_SCALES = (4.0, 16.0)
"""Widths in pixels of the Gaussians between which structures are compared from frame to frame."""
_RESEMBLING = 0.15
"""Correlation of these from which on frames are a movie's: below 0.05 for unrelated micrographs, 0.4 for flickering."""


def look(stacks: Sequence[ImageStack], channel: int, *, side: int = 1024, planes: int = 24) -> list[NDArray[Any]]:
    """A few planes of one channel, spread over all images, no larger than ``side``."""
    places = [(stack, index) for stack in stacks for index in range(len(stack))]
    result = [_plane(stack, index, channel, side) for stack, index in _spread(places, planes)]
    return [plane for plane in result if np.ptp(plane) > 0] or result  # without blank frames


def look_at_noise(
    stacks: Sequence[ImageStack], channel: int, *, side: int = 1024, planes: int = 24, smooth: float = SCENE
) -> list[NDArray[Any]]:
    r"""The same for measuring noise: of movies the differences of successive frames, which no texture can feign.

    :math:`(a - b) / \sqrt 2` has the noise of one frame and nothing of a scene that stands still; its smoothed values,
    which tell what moves, are replaced by the smoothed mean of both frames, which tells the brightness. ``smooth`` is
    the width of the Gaussian in pixels.
    """
    from scipy.ndimage import gaussian_filter

    result = []
    for stack, index, after in _spread(_followed(stacks), planes):
        a, b = (_plane(stack, k, channel, side).astype(np.float64) for k in (index, after))
        if np.ptp(a) > 0 and np.ptp(b) > 0 and np.ptp(a - b) > 0:  # neither blank nor the same frame twice
            rest = (a - b) / 2**0.5
            result.append(rest + gaussian_filter((a + b) / 2 - rest, smooth))
    return result or look(stacks, channel, side=side, planes=planes)


def frames_resemble(stacks: Sequence[ImageStack], *, side: int = 512, planes: int = 16) -> bool:
    """Whether successive frames show one scene, and not another one each.

    Structures of a few pixels to a few dozen are correlated then, in one of the channels at least: between the scale of
    the noise and that of the illumination, which unrelated images share, too.
    """
    places, medians = _spread(_followed(stacks), planes), []
    for channel in range(stacks[0].channels):
        found = []
        for stack, index, after in places:
            a, b = (_structure(_plane(stack, k, channel, side)) for k in (index, after))
            if a.std() > 0 and b.std() > 0:  # no blank frame
                found.append(float(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std())))
        medians.append(np.median(found) if found else 0.0)
    return max(medians) > _RESEMBLING


def _structure(plane: NDArray[Any]) -> NDArray[np.float64]:
    """Structures that are larger than the noise and smaller than the illumination."""
    from scipy.ndimage import gaussian_filter

    plane = plane.astype(np.float64)
    structure: NDArray[np.float64] = gaussian_filter(plane, _SCALES[0]) - gaussian_filter(plane, _SCALES[1])
    return structure


def _followed(stacks: Sequence[ImageStack]) -> list[tuple[ImageStack, int, int]]:
    """Frames with the frame after them."""
    return [
        (stack, index, after)
        for stack in stacks
        for index in range(len(stack))
        if (after := stack.following(index)) is not None
    ]


def _spread(places: list[Any], count: int) -> list[Any]:
    if not places:
        return []
    chosen = np.unique(np.linspace(0, len(places) - 1, count).round().astype(int))
    return [places[k] for k in chosen]


def _plane(stack: ImageStack, index: int, channel: int, side: int) -> NDArray[Any]:
    """One plane of an image, of the middle if there are several, cut to ``side`` around its centre."""
    corner = [max((n - side) // 2, 0) for n in stack.spatial]
    region = [slice(at, min(at + side, n)) for at, n in zip(corner, stack.spatial, strict=True)]
    if len(region) == 3:
        region[0] = slice(stack.spatial[0] // 2, stack.spatial[0] // 2 + 1)
    return stack.read(index, region)[channel].reshape([s.stop - s.start for s in region[-2:]])
