"""Checkpoints of a training of counts: of which training they are, read as numbers and text alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from scif.core.engine import Checkpoint
from scif.counts.data.dataset import CountDataset
from scif.counts.encoder import encoder_name
from scif.counts.options import FitOptions
from scif.counts.settings import CountSettings

__all__ = ["FILE", "checkpoint_of", "told"]

#: Name of the checkpoint in its folder, without the suffix that Lightning adds.
FILE = "last"
_OPTIONS = (
    "max_epochs",
    "early_stopping",
    "batch_size",
    "anchor_weight",
    "mode",
    "consistency_weight",
    "num_steps",
    "held_out",
)


def told(
    dataset: CountDataset, totals: np.ndarray, settings: CountSettings, options: FitOptions, *, epochs_before: int
) -> str:
    """The training in plain text: counts, by their totals ``(batches, genes)``, and what else decides the result."""
    digest = hashlib.sha256(np.ascontiguousarray(totals, dtype=np.float64).tobytes())
    if dataset.factor is not None:
        digest.update(np.ascontiguousarray(dataset.factor, dtype=np.float64).tobytes())
    noise = settings.noise if isinstance(settings.noise, str) else type(settings.noise).__name__
    facts = {
        "cells": len(dataset),
        "counts": digest.hexdigest()[:12],
        "noise": noise,
        **{name: getattr(settings, name) for name in ("n_latent", "n_hidden", "dropout_rate", "start", "seed")},
        **{name: getattr(options, name) for name in _OPTIONS},
        **({} if settings.encoder is None else {"encoder": encoder_name(settings.encoder)}),
        "constants": hashlib.sha256(repr(settings.config).encode()).hexdigest()[:12],
        "epochs before": epochs_before,
    }
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def checkpoint_of(folder: str | Path, about: str) -> Checkpoint:
    """The checkpoint of a training in a folder."""
    return Checkpoint(Path(folder) / f"{FILE}.ckpt", about)
