"""Train the count model without the chatter that a log file does not need."""

from __future__ import annotations

import logging
import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model import ICM

__all__ = ["train", "train_as_asked"]


def train(
    adata: AnnData,
    *,
    noise: str = "poisson",
    seed: int = 0,
    max_epochs: int | None = None,
    accelerator: str = "auto",
    progress: bool | None = None,
    checkpoint: Path | None = None,
    **setup: str | None,
) -> ICM:
    """Train a model; ``setup`` are arguments of ``setup_anndata``. A terminal sees a progress bar."""
    folder = None if checkpoint is None else str(checkpoint)
    from scif.model import ICM

    ICM.setup_anndata(adata, **setup)
    choice: Any = noise
    model = ICM(adata, noise=choice, seed=seed)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("scvi").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        shown = sys.stderr.isatty() if progress is None else progress
        model.train(max_epochs, accelerator=accelerator, enable_progress_bar=shown, checkpoint_dir=folder)
    return model


def train_as_asked(arguments: Namespace, adata: AnnData) -> ICM:
    """Train by the options of the command line, and say so."""
    say = arguments.output_to
    say.say(f"{adata.n_obs} cells x {adata.n_vars} genes; training ...")
    model = train(
        adata,
        noise=arguments.noise,
        seed=arguments.seed,
        max_epochs=arguments.max_epochs,
        accelerator=arguments.accelerator,
        progress=say.progress,
        checkpoint=getattr(arguments, "checkpoint", None),
        layer=arguments.layer,
        batch_key=arguments.batch_key,
        size_factor_key=arguments.size_factor_key,
    )
    arguments.signals.check()
    return model
