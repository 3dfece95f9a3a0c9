"""The methods: each takes the data of a case and returns denoised test images."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["METHODS", "Budget", "Method"]


@dataclass(frozen=True)
class Budget:
    """Size of network and training, the same for every trained method."""

    widths: tuple[int, ...]
    blocks: int
    steps: int
    batch_size: int
    patch: int
    accelerator: str = "cpu"
    precision: str = "32-true"
    lr: float = 2e-3
    ema_decay: float = 0.99


@dataclass(frozen=True)
class Method:
    """Where a method is, what it is called in tables, and whether clean images are shown to it."""

    function: str
    label: str
    supervised: bool = False

    def load(self) -> Callable:
        """The function ``(data, budget, seed) -> images``."""
        module, name = self.function.split(":")
        return getattr(importlib.import_module(f"benchmarks.images.methods.{module}"), name)


METHODS = {
    "noisy": Method("classical:noisy", "no denoising"),
    "tv": Method("classical:total_variation", "total variation"),
    "wavelet": Method("classical:wavelet", "wavelets (BayesShrink)"),
    "nlm": Method("classical:non_local_means", "non-local means"),
    "bm3d": Method("bm3d:bm3d", "BM3D"),
    "n2v": Method("trained:noise2void", "Noise2Void, same U-Net"),
    "icm": Method("trained:published_icm", "ICM as published (no anchor)"),
    "ifm": Method("trained:published_ifm", "IFM as published (no anchor)"),
    "scif": Method("trained:scif", "scif (anchored ICM)"),
    "supervised": Method("trained:supervised", "supervised, same U-Net", supervised=True),
}
