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

__all__ = ["train", "train_as_asked", "training_options"]


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


def training_options(arguments: Namespace) -> dict[str, Any]:
    """Options of the command line that every training takes, as arguments of :func:`train`."""
    names = ("noise", "seed", "max_epochs", "accelerator", "batch_key", "size_factor_key")
    return {name: getattr(arguments, name) for name in names} | {"progress": arguments.output_to.progress}


def train_as_asked(arguments: Namespace, adata: AnnData) -> ICM:
    """Train by the options of the command line, and say so."""
    say = arguments.output_to
    say.say(f"{adata.n_obs} cells x {adata.n_vars} genes; training ...")
    checkpoint = getattr(arguments, "checkpoint", None)  # only `scif denoise` has it
    model = train(adata, checkpoint=checkpoint, layer=arguments.layer, **training_options(arguments))
    arguments.signals.check()
    return model
