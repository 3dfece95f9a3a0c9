"""Bringing any noise to roughly white Gaussian noise of one strength, which is what classical filters expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from benchmarks.images.cases import Data
from numpy.typing import NDArray

from scif.core.noise import Gaussian, NoiseModel, Poisson, PoissonGaussian

__all__ = ["Stabilised", "stabilise", "unbias"]

Transform = Callable[[NDArray], NDArray]


@dataclass(frozen=True)
class Stabilised:
    """A transform, its inverse, and the standard deviation of the noise in between."""

    forward: Transform
    backward: Transform
    sigma: float


def stabilise(data: Data) -> Stabilised:
    """The transform for a case: Anscombe's for shot noise, the inverse of the channel's mean where it is biased."""
    noise = data.case.noise
    if isinstance(noise, Poisson | PoissonGaussian):
        return anscombe(float(noise.gain), float(getattr(noise, "sigma", 0.0)))
    if isinstance(noise, Gaussian):
        return Stabilised(lambda x: x, lambda x: x, float(noise.sigma))
    slope, shift = line(noise)
    sample = torch.from_numpy(np.stack([image[:64, :64] for image in data.train[:50]]))
    variance = float(noise.moments(((sample - shift) / slope).clamp(0, 1)).variance.mean())
    return Stabilised(lambda x: (x - shift) / slope, lambda x: x, variance**0.5 / slope)


def line(noise: NoiseModel) -> tuple[float, float]:
    """Slope and height of the channel's mean as a function of the clean signal."""
    black_and_white = torch.stack([torch.zeros(64, 64), torch.ones(64, 64)])  # no smaller than a kernel
    low, high = noise.moments(black_and_white).mean.mean((1, 2)).tolist()
    return high - low, low


def unbias(data: Data) -> Transform:
    """Inverse of the channel's mean, for methods that aim at the mean of the observations."""
    slope, shift = line(data.case.noise)
    return lambda x: (x - shift) / slope


def anscombe(gain: float, read_noise: float) -> Stabilised:
    """Generalised Anscombe transform with the closed form of its exact unbiased inverse.

    Makitalo & Foi, IEEE Trans. Image Processing 22 (2013).
    """

    def forward(x: NDArray) -> NDArray:
        return 2 / gain * np.sqrt(np.maximum(gain * x + 0.375 * gain**2 + read_noise**2, 0))

    def backward(d: NDArray) -> NDArray:
        d = np.maximum(d, 1.0)
        root = np.sqrt(1.5)
        exact = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8
        return gain * np.maximum(exact - (read_noise / gain) ** 2, 0)

    return Stabilised(forward, backward, 1.0)
