"""Residual whiteness: did denoising remove noise only?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif.core._check import check_finite, check_same_shape
from scif.core._precision import double
from scif.core.noise.base import NoiseModel

__all__ = ["Residual", "residual"]


@dataclass(frozen=True)
class Residual:
    """The removed part ``x1 - E[x1 | x0]`` in units of the noise's standard deviation."""

    mean: float
    """Mean of the residual; zero if only noise was removed."""
    variance: float
    """Variance of the residual; at most one if only noise was removed."""
    structure: float
    """Mean correlation of neighbouring entries. For unordered entries, the excess of the largest eigenvalue of their
    correlation matrix over that of white noise, as a fraction of the total."""
    verdict: Literal["noise", "signal", "biased"]
    """Removed part."""
    message: str
    """Verdict in words."""


def residual(x1: Tensor, x0: Tensor, noise: NoiseModel, *, spatial: int = 0, tolerance: float = 0.1) -> Residual:
    r"""Test the residual of clean estimates under a channel with independent noise in each entry.

    For posterior draws the standardised residual is the noise itself: mean 0, variance 1, white. Means and transported
    points keep some noise, so the variance of their residual is *below* 1, and neighbours are uncorrelated or
    negatively correlated. Larger residuals contain signal that should be in the estimate.

    Parameters
    ----------
    x1
        Observations, ``(n, ...)``.
    x0
        Clean estimates of the observations, of any kind.
    noise
        The channel, with known moments.
    spatial
        Number of trailing axes along which entries have neighbours (2 for images); 0 if their order is arbitrary.
    tolerance
        Excess of mean, variance or correlation that still counts as noise.

    Examples
    --------
    >>> import torch
    >>> from scif.core.monitor import residual
    >>> from scif.core.noise import Gaussian
    >>> rng = torch.Generator().manual_seed(0)
    >>> wave = torch.sin(torch.arange(64.0) / 5.0).expand(200, 64)
    >>> x1 = Gaussian(0.5).sample(wave, generator=rng)
    >>> residual(x1, wave, Gaussian(0.5), spatial=1).verdict
    'noise'
    >>> residual(x1, torch.zeros_like(wave), Gaussian(0.5), spatial=1).verdict
    'signal'
    """
    check_same_shape(x1, x0, names=("x1", "x0"))
    check_finite(x1, name="x1")
    check_finite(x0, name="x0")
    if not 0 <= spatial < x1.ndim:
        msg = f"spatial is {spatial} but x1 has shape {tuple(x1.shape)}; it must be below the number of axes."
        raise ValueError(msg)
    with torch.no_grad():
        moments = noise.moments(x0)
        scale = double(moments.variance).sqrt()
        usable = scale > 0
        z = torch.where(usable, double(x1 - moments.mean) / scale.where(usable, 1.0), 0.0)
        mean, variance = float(z[usable].mean()), float(z[usable].square().mean())
        structure = _neighbours(z, spatial) if spatial else _common(z.flatten(1))
    verdict, message = _judge(mean, variance, structure, tolerance)
    return Residual(mean, variance, structure, verdict, message)


def _neighbours(z: Tensor, spatial: int) -> float:
    """Mean product of neighbouring entries along the last axes, over the mean square."""
    products = [
        (z.narrow(axis, 1, z.shape[axis] - 1) * z.narrow(axis, 0, z.shape[axis] - 1)).mean()
        for axis in range(z.ndim - spatial, z.ndim)
        if z.shape[axis] > 1
    ]
    return float(torch.stack(products).mean() / z.square().mean()) if products else 0.0


def _common(z: Tensor) -> float:
    """Excess of the largest eigenvalue of the correlations over the Marchenko-Pastur edge, over the trace."""
    n, entries = z.shape
    if entries == 1:
        return 0.0
    centred = z - z.mean(0)
    centred = centred / centred.square().mean(0).sqrt().clamp_min(1e-12)
    gram = centred.T @ centred if entries <= n else centred @ centred.T
    largest = float(torch.linalg.eigvalsh(gram / n)[-1])
    edge = (1.0 + (entries / n) ** 0.5) ** 2
    return max(largest - edge, 0.0) / entries


def _judge(
    mean: float, variance: float, structure: float, tolerance: float
) -> tuple[Literal["noise", "signal", "biased"], str]:
    figures = f"mean {mean:.2g}, variance {variance:.2g}, structure {structure:.2g}"
    if variance > 1.0 + tolerance or structure > tolerance:
        return "signal", (
            f"the residual carries signal ({figures}; noise has 0, at most 1 and at most 0): the estimates are "
            "over-smoothed, or the channel's noise is set too low or is correlated."
        )
    if abs(mean) > tolerance:
        return "biased", f"the residual is shifted ({figures}): the estimates or the channel's mean are biased."
    return "noise", f"the residual looks like noise ({figures})."
