"""Methods that train the U-Net."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.images.baselines import Noise2Void, Paired, Supervised
from benchmarks.images.cases import Data, Images
from benchmarks.images.methods import Budget
from benchmarks.images.methods._stabilise import unbias
from numpy.typing import NDArray

from scif.fields.images import ImageDenoiser

__all__ = ["noise2void", "published_icm", "published_ifm", "scif", "supervised"]


def scif(data: Data, budget: Budget, seed: int) -> Images:
    """Our defaults."""
    return _denoise(ImageDenoiser(data.case.noise, **_network(budget, seed)).fit(data.train, **_training(budget)), data)


def published_icm(data: Data, budget: Budget, seed: int) -> Images:
    """The consistency term alone; its steps take twice as long as others'."""
    return _published("icm", data, replace(budget, steps=budget.steps // 3), seed)


def published_ifm(data: Data, budget: Budget, seed: int) -> Images:
    """Inverse flow matching alone, and the transport that it is for; its steps take four times as long as others'."""
    return _published("ifm", data, replace(budget, steps=budget.steps // 5), seed, estimator="transport")


def noise2void(data: Data, budget: Budget, seed: int) -> Images:
    """It aims at the mean of the observations, which is then inverted where the channel is biased."""
    back = unbias(data)
    denoiser = Noise2Void(data.case.noise, **_network(budget, seed)).fit(data.train, **_training(budget))
    return [back(image) for image in _denoise(denoiser, data)]


def supervised(data: Data, budget: Budget, seed: int) -> Images:
    """Trained on the clean images, which no other method sees."""
    if not data.case.affine:
        denoiser = Supervised(data.case.noise, **_network(budget, seed))
        return _denoise(denoiser.fit(data.train_clean, **_training(budget)), data)
    aligned = [align(clean, noisy) for noisy, clean in zip(data.train, data.train_clean, strict=True)]
    paired = Paired(data.case.noise, **_network(budget, seed))
    return _denoise(paired.fit_pairs(data.train, aligned, **_training(budget)), data)


def align(clean: NDArray, noisy: NDArray) -> NDArray:
    """``a * clean + b`` nearest to the noisy image."""
    slope, height = np.polyfit(clean.ravel(), noisy.ravel(), 1)
    return (slope * clean + height).astype(np.float32)


def _published(method: str, data: Data, budget: Budget, seed: int, **options: Any) -> Images:
    weights = {"anchor_weight": 0.0, "consistency_weight": 1.0}
    denoiser = ImageDenoiser(data.case.noise, method=method, **weights, **_network(budget, seed))
    return _denoise(denoiser.fit(data.train, **_training(budget)), data, **options)


def _denoise(denoiser: ImageDenoiser, data: Data, **options: Any) -> Images:
    return denoiser.denoise(data.test, **options)


def _network(budget: Budget, seed: int) -> dict[str, Any]:
    return {"widths": budget.widths, "blocks": budget.blocks, "seed": seed}


def _training(budget: Budget) -> dict[str, Any]:
    names = ("batch_size", "patch", "lr", "ema_decay", "accelerator", "precision")
    return {"max_steps": budget.steps} | {name: getattr(budget, name) for name in names}
