"""How skewed the noise of images is, in units of what their channel says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scif.core.noise import SteinKernel
from scif.fields.images._units import InUnits

__all__ = ["around", "skewness_ratio"]

_DRAWS = 4
"""Times that the channel's own skewness is drawn, so that it scatters less than that of the images."""


def skewness_ratio(noise: InUnits, kernel: SteinKernel, x1: Tensor) -> float:
    """Skewness of the observations' finest details over that of the channel's around a smoothed image; 0.5 to 2."""
    u = kernel.invert(x1)
    smooth = nn.functional.avg_pool2d(u.flatten(0, -3), 5, stride=1, padding=2, count_include_pad=False).view_as(u)
    rng = torch.Generator().manual_seed(1)
    again = (kernel.invert(noise.sample(smooth, generator=rng)) for _ in range(_DRAWS))
    seen, expected = _skewness(noise, u), torch.cat([_skewness(noise, one) for one in again])
    error = (seen.var() / len(seen) + expected.var() / len(expected)).sqrt()
    if expected.mean().abs() < 4 * error or (seen.mean() - expected.mean()).abs() < 4 * error:
        return 1.0  # too little to tell one from the other
    return min(max(float(seen.mean() / expected.mean()), 0.5), 2.0)


def _skewness(noise: InUnits, u: Tensor) -> Tensor:
    """Cubes of the details of 2 x 2 pixels, in units of the noise; their mean vanishes where noise is symmetric.

    The pixels around tell how strong the noise is: the pixels themselves would make little of what is far out.
    Structure is as often darker than its surroundings as brighter.
    """
    rows, columns = (n // 2 * 2 for n in u.shape[-2:])
    u = u[..., :rows, :columns]
    a, b, c, d = (u[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
    variance = noise.moments(around(u, 2, 2)).variance
    return ((3 * d - a - b - c) ** 3 / (variance + variance.mean()) ** 1.5).flatten()


def around(u: Tensor, side: int, reach: int) -> Tensor:
    """Mean of the pixels in the plane around each square of ``side`` pixels, without itself.

    Parameters
    ----------
    u
        Images ``(batch, channels, *spatial)``; sides in the plane are multiples of ``side``.
    side
        Of the squares, which do not overlap.
    reach
        Pixels to each side of a square; mirror images beyond the border.
    """
    plane = u.reshape(-1, 1, *u.shape[-2:])
    whole = side + 2 * reach
    padded = nn.functional.pad(plane, (reach,) * 4, mode="reflect")
    mean = whole**2 * nn.functional.avg_pool2d(padded, whole, stride=side)
    mean = (mean - side**2 * nn.functional.avg_pool2d(plane, side)) / (whole**2 - side**2)
    return mean.view(*u.shape[:-2], *mean.shape[-2:])
