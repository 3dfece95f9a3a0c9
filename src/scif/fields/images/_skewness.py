"""How skewed the noise of images is, in units of what their channel says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scif.core.noise import SteinKernel
from scif.fields.images._units import InUnits

__all__ = ["skewness_ratio"]


def skewness_ratio(noise: InUnits, kernel: SteinKernel, x1: Tensor) -> float:
    """Skewness of the observations' finest details over that of the channel's around a smoothed image; 0.5 to 2."""
    u = kernel.invert(x1)
    smooth = nn.functional.avg_pool2d(u.flatten(0, -3), 5, stride=1, padding=2, count_include_pad=False).view_as(u)
    again = kernel.invert(noise.sample(smooth, generator=torch.Generator().manual_seed(1)))
    seen, expected = (_skewness(noise, one) for one in (u, again))
    error = ((seen.var() + expected.var()) / len(seen)).sqrt()
    if expected.mean().abs() < 4 * error or (seen.mean() - expected.mean()).abs() < 4 * error:
        return 1.0  # too little to tell one from the other
    return min(max(float(seen.mean() / expected.mean()), 0.5), 2.0)


def _skewness(noise: InUnits, u: Tensor) -> Tensor:
    """Cubes of the details of 2 x 2 pixels, in units of the noise; their mean vanishes where noise is symmetric.

    The detail is uncorrelated with the mean of the pixels, which tells how strong the noise is. Structure is as often
    darker than its surroundings as brighter.
    """
    rows, columns = (n // 2 * 2 for n in u.shape[-2:])
    a, b, c, d = (u[..., i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
    variance = noise.moments((a + b + c + d) / 4).variance
    return ((3 * d - a - b - c) ** 3 / (variance + variance.mean()) ** 1.5).flatten()
