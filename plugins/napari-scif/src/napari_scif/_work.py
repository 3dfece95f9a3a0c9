"""Work that runs beside the window: calibration, training that can be stopped, denoising."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

__all__ = ["ENDINGS", "Steps", "axes_of", "denoise", "images_in", "train"]

ENDINGS = (".tif", ".tiff", ".png", ".zarr", ".czi", ".nd2", ".lif")
"""Files of a folder that are trained on."""


class Steps(pl.Callback):
    """Tell the steps of training, and end it when asked to."""

    def __init__(self, tell: Callable[[int, int], None], stop: threading.Event) -> None:
        self._tell, self._stop = tell, stop

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """After each step."""
        self._tell(trainer.global_step, int(trainer.max_steps))
        if self._stop.is_set():
            trainer.should_stop = True


def axes_of(ndim: int, *, rgb: bool) -> str:
    """Letters for the axes of a layer: those before the last two count images."""
    letters = "TZPQN"[: ndim - 2 - rgb] + "YX" + ("C" if rgb else "")
    if len(letters) != ndim:
        msg = f"a layer has {ndim} axes; scif takes two to seven."
        raise ValueError(msg)
    return letters


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder, results left out."""
    found = [one for one in sorted(folder.iterdir()) if one.suffix.lower() in ENDINGS and "_denoised" not in one.name]
    if not found:
        msg = f"the folder {str(folder)!r} holds no image ({', '.join(ENDINGS)})."
        raise ValueError(msg)
    return found


def train(
    images: Any,
    axes: str | None,
    noise: Any,
    *,
    max_steps: int | None,
    tell: Callable[[int, int], None],
    stop: threading.Event,
) -> Any:
    """A trained denoiser."""
    from scif.fields.images import ImageDenoiser

    return ImageDenoiser(noise).fit(images, axes=axes, max_steps=max_steps, callbacks=[Steps(tell, stop)])


def denoise(denoiser: Any, pixels: Any, axes: str | None) -> Sequence[tuple[str, np.ndarray]]:
    """Layers by name: what is left, what was removed, and the uncertainty where there is one."""
    pixels = np.asarray(pixels)
    options: dict[str, Any] = {"axes": axes, "dtype": np.float32}
    if "return_std" in inspect.signature(denoiser.denoise).parameters:
        clean, spread = denoiser.denoise(pixels, return_std=True, **options)
        return [("denoised", clean), ("removed", pixels - clean), ("uncertainty", spread)]
    clean = denoiser.denoise(pixels, **options)
    return [("denoised", clean), ("removed", pixels - clean)]
