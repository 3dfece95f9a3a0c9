"""Stage: stochastic training of the network."""

from __future__ import annotations

import math
import os
import signal
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping

from scif.core.engine.chatter import without_chatter
from scif.core.noise import NoiseModel
from scif.core.objective import Objective
from scif.counts.config import NetworkConfig
from scif.counts.consistency import CountConsistency
from scif.counts.data.datamodule import CountDataModule
from scif.counts.data.dataset import CountDataset
from scif.counts.handed_back import HandedBack
from scif.counts.objective import CountAnchor, CountICM
from scif.counts.options import FitOptions
from scif.counts.progress import EpochProgress
from scif.counts.resuming import FILE, checkpoint_of
from scif.counts.training import CountPlan, Curves

__all__ = ["NetworkFit", "epochs", "fit_network", "minibatch"]


@dataclass(frozen=True)
class NetworkFit:
    """A trained network.

    Attributes
    ----------
    module
        The model, with the best averaged weights.
    history
        Learning curves by name.
    epochs
        Epochs that were begun.
    validation_loss
        The best one; None without validation.
    interrupted
        Whether training was stopped by hand.
    trainer
        Lightning's trainer.
    checkpoint
        File from which a killed run goes on; None without checkpoints.
    """

    module: CountConsistency
    history: dict[str, pd.DataFrame]
    epochs: int
    validation_loss: float | None
    interrupted: bool
    trainer: pl.Trainer
    checkpoint: Path | None = None

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        loss = "" if self.validation_loss is None else f", validation loss {self.validation_loss:.4f}"
        return f"{self.epochs} epochs{loss}"


def minibatch(num_cells: int, options: FitOptions, config: NetworkConfig) -> int:
    """Cells of a minibatch."""
    if options.batch_size is not None:
        return options.batch_size
    return config.small_batch if num_cells < config.many_cells else config.large_batch


def epochs(num_cells: int, options: FitOptions, config: NetworkConfig) -> int:
    """Most epochs: 4 to 100 that make the steps the configuration asks for."""
    if options.max_epochs is not None:
        return options.max_epochs
    steps = config.steps * min(max(math.sqrt(num_cells / config.step_cells), 1.0), 1.5)
    return min(max(math.ceil(steps / math.ceil(num_cells / minibatch(num_cells, options, config))), 4), 100)


def fit_network(
    module: CountConsistency,
    dataset: CountDataset,
    options: FitOptions,
    config: NetworkConfig,
    *,
    noise: NoiseModel,
    seed: int,
    history: dict[str, pd.DataFrame] | None = None,
    about: str = "",
    **trainer_options: Any,
) -> NetworkFit:
    """Train the network of a model, which is changed in place.

    Parameters
    ----------
    module
        The model where training starts.
    dataset
        Cells, with held-out molecules for validation.
    options
        Choices of the user.
    config
        Constants.
    noise
        Channel of the counts.
    seed
        Seed of everything that is drawn.
    history
        Learning curves of an earlier training, which are continued.
    about
        What decides the result, in plain text: a checkpoint of another training is refused.
    **trainer_options
        Arguments of Lightning's trainer, and ``checkpoint_dir``: a folder from which an interrupted training goes on.
    """
    parts: dict[str, tuple[Objective, float]] = {}
    if options.anchor_weight > 0:
        parts["anchor"] = (CountAnchor(), options.anchor_weight)
    if options.by_gradient:
        weight = options.consistency_weight * (config.gradient_weight if options.anchor_weight > 0 else 1.0)
        parts["icm"] = (CountICM(noise, num_steps=options.num_steps or 1), weight)
    plan = CountPlan(module, parts, config, seed=seed)
    size, most = minibatch(len(dataset), options, config), epochs(len(dataset), options, config)
    split = CountAnchor().split if options.anchor_weight > 0 else None
    data = CountDataModule(dataset, batch_size=size, each=options.batch_size is not None, seed=seed, split=split)
    curves = Curves()
    trainer, checkpoint = _trainer(options, config, most, curves, dataset.held_out is not None, **trainer_options)
    interrupted, path = False, None
    if checkpoint is not None:
        plan.about = about
        path = None if checkpoint_of(checkpoint.parent, about).read() is None else checkpoint
    folder = tempfile.TemporaryDirectory(prefix="scif-")
    back = HandedBack(folder.name, plan, curves)
    trainer.callbacks.append(back)  # type: ignore[attr-defined]
    try:
        with folder, without_chatter():
            trainer.fit(plan, datamodule=data, ckpt_path=path, weights_only=True)
            back.take_up()
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the former into the latter
        if checkpoint is not None and trainer.received_sigterm:  # a scheduler ends the job: it goes on from the file
            raise SystemExit(128 + signal.SIGTERM) from None
        if not plan.has_trained:
            raise
        interrupted = True
        plan.keep_best()
        warnings.warn(
            f"Training was interrupted after {trainer.current_epoch} epochs; the model keeps the best weights so far. "
            "The later stages run now and take some seconds; interrupt again to leave them out.",
            UserWarning,
            stacklevel=4,
        )
    return NetworkFit(
        module,
        curves.frames(after=history),
        int(trainer.current_epoch) if back.epochs is None else back.epochs,
        None if plan.best is None else plan.best[0],
        interrupted,
        trainer,
        checkpoint,
    )


def _trainer(
    options: FitOptions,
    config: NetworkConfig,
    most: int,
    curves: Curves,
    validates: bool,
    *,
    callbacks: Any = (),
    checkpoint_dir: str | Path | None = None,
    **given: Any,
) -> tuple[pl.Trainer, Path | None]:
    """Lightning's trainer, and where its checkpoints are."""
    accelerator = options.accelerator
    if accelerator == "auto":  # Apple's GPU must be asked for
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    check_devices(options.devices, accelerator)
    chosen: list[Any] = [curves, *callbacks]
    if options.early_stopping and validates:
        chosen.append(EarlyStopping("validation_loss", patience=config.patience, verbose=False))
    if options.progress:
        chosen.append(EpochProgress())
    path = None
    if checkpoint_dir is not None:
        from lightning.pytorch.callbacks import ModelCheckpoint

        every = ModelCheckpoint(
            checkpoint_dir,
            filename=FILE,
            save_top_k=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        chosen.append(every)
        path = Path(checkpoint_dir) / f"{FILE}.ckpt"
    defaults: dict[str, Any] = {
        "gradient_clip_val": config.gradient_clip,
        "benchmark": False,
        "log_every_n_steps": 1,
        "check_val_every_n_epoch": max(1, round(most / config.validations)),
        "enable_checkpointing": checkpoint_dir is not None,
        "enable_model_summary": False,
        "logger": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,  # each process takes its share of the same minibatches
    }
    with without_chatter():
        trainer = pl.Trainer(
            max_epochs=most,
            accelerator=accelerator,
            devices=options.devices,
            callbacks=chosen,
            enable_progress_bar=False,
            **(defaults | given),
        )
    return trainer, path


def check_devices(devices: Any, accelerator: str) -> None:
    """Refuse more processes than there are cores: each is a copy of the caller's script.

    Raises
    ------
    ValueError
        If there are too many.
    """
    cores = os.cpu_count() or 1
    if accelerator == "cpu" and isinstance(devices, int) and devices > cores:
        msg = f"devices is {devices}, but this machine has {cores} cores; give {cores} at most."
        raise ValueError(msg)
