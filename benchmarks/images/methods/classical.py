"""Filters of scikit-image, with the strength of the noise given or tuned without the truth."""

from __future__ import annotations

import numpy as np
from benchmarks.images.cases import Data, Images
from benchmarks.images.methods import Budget
from benchmarks.images.methods._stabilise import stabilise
from skimage.restoration import calibrate_denoiser, denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

__all__ = ["noisy", "non_local_means", "total_variation", "wavelet"]


def noisy(data: Data, budget: Budget, seed: int) -> Images:
    return data.test


def wavelet(data: Data, budget: Budget, seed: int) -> Images:
    t = stabilise(data)
    options = {"sigma": t.sigma, "method": "BayesShrink", "mode": "soft", "rescale_sigma": True}
    return [t.backward(denoise_wavelet(t.forward(image), **options)) for image in data.test]


def non_local_means(data: Data, budget: Budget, seed: int) -> Images:
    t = stabilise(data)
    options = {"sigma": t.sigma, "h": 0.8 * t.sigma, "patch_size": 5, "patch_distance": 6, "fast_mode": True}
    return [t.backward(denoise_nl_means(t.forward(image), **options)) for image in data.test]


def total_variation(data: Data, budget: Budget, seed: int) -> Images:
    """Its weight is found by J-invariance (Batson & Royer 2019) on four noisy training images."""
    t = stabilise(data)
    weights = {"weight": np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0]) * t.sigma}
    best = []
    for image in data.train[:4]:
        part = t.forward(image)[:160, :160]
        calibrated = calibrate_denoiser(part, denoise_tv_chambolle, denoise_parameters=weights)
        best.append(calibrated.keywords["denoiser_kwargs"]["weight"])
    weight = float(np.median(best))
    return [t.backward(denoise_tv_chambolle(t.forward(image), weight=weight)) for image in data.test]
