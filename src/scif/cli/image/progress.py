"""How far training is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as pl

__all__ = ["Progress"]

_EVERY = 10.0
"""Seconds between lines of a log."""


class Progress(pl.Callback):
    """Tell the steps of training on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._said = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self._said = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=trainer.max_steps, desc="Training", unit="step")
        else:
            sys.stderr.write(f"Training: {trainer.max_steps} steps at most\n")

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Tell of a step."""
        done = trainer.global_step
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            sys.stderr.write(f"Training: step {done} of {trainer.max_steps}\n")
            sys.stderr.flush()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End."""
        if self._bar is not None:
            self._bar.close()
        else:
            sys.stderr.write(f"Training: done after {trainer.global_step} steps\n")
