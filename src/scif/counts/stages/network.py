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
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EarlyStopping

from scif.core._check import is_whole
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

#: Variables by which launchers tell a process that others run beside it.
LAUNCHED = {"WORLD_SIZE", "MASTER_ADDR", "NODE_RANK", "GROUP_RANK", "SLURM_NTASKS", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE"}


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
        if trainer.world_size == 1 and trainer.global_step == 0:
            msg = "the trainer made no step, so nothing is trained; allow one (max_steps, limit_train_batches)."
            raise ValueError(msg)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the former into the latter
        if checkpoint is not None and trainer.received_sigterm:  # a scheduler ends the job: it goes on from the file
            raise SystemExit(128 + signal.SIGTERM) from None
        if not plan.has_trained:
            raise
        interrupted = True
        plan.keep_best()
        warnings.warn(
            f"Training was interrupted after {trainer.current_epoch} epochs; the model keeps the best weights so far. "
            "The later stages run now and take some seconds; interrupt again to skip them.",
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
    _check_launched(given.get("num_nodes", 1))
    _check_folder(checkpoint_dir)
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
        "limit_val_batches": 1.0 if validates else 0,
    }
    try:
        with without_chatter():
            trainer = pl.Trainer(
                max_epochs=most,
                accelerator=accelerator,
                devices=options.devices,
                callbacks=chosen,
                enable_progress_bar=False,
                **(defaults | given),
            )
    except (MisconfigurationException, ImportError) as error:  # no such device on this machine
        msg = f"accelerator is {options.accelerator!r} and devices is {options.devices!r}: {error}"
        raise ValueError(msg) from error
    return trainer, path


def check_devices(devices: Any, accelerator: str) -> None:
    """Refuse what names no devices, and more processes than there are cores: each is a copy of the caller's script.

    Raises
    ------
    ValueError
        If there are too many, or this is neither a number of devices, nor, of a GPU, a list or ``"auto"``.
    """
    count: Any = devices.strip() if isinstance(devices, str) else devices
    count = int(count) if isinstance(count, str) and count.isdecimal() else count
    number = is_whole(count)
    names_some = count if isinstance(count, str | list | tuple) else (number and count != 0 and count >= -1)
    if not names_some or (accelerator == "cpu" and count != "auto" and not (number and count > 0)):
        msg = f"devices is {devices!r}; give a number of devices from 1 on, or 'auto'; of a GPU also their list."
        raise ValueError(msg)
    cores = os.cpu_count() or 1
    if accelerator == "cpu" and number and count > cores:
        msg = f"devices is {devices!r}, but this machine has {cores} cores; give {cores} at most."
        raise ValueError(msg)


def _check_launched(num_nodes: Any) -> None:
    """Refuse nodes that nothing has started: this one would wait for them without end."""
    if isinstance(num_nodes, int) and num_nodes > 1 and not LAUNCHED & os.environ.keys():
        msg = (
            f"num_nodes is {num_nodes}, but no launcher started this process on each of them. Start it with torchrun "
            "or srun, or leave num_nodes out."
        )
        raise ValueError(msg)


def _check_folder(checkpoint_dir: Any) -> None:
    """Refuse what is no folder before any work is done."""
    if checkpoint_dir is None:
        return
    if not isinstance(checkpoint_dir, str | Path) or not str(checkpoint_dir).strip():
        msg = f"checkpoint_dir is {checkpoint_dir!r}; pass the path of a folder."
        raise ValueError(msg)
    if Path(checkpoint_dir).exists() and not Path(checkpoint_dir).is_dir():
        msg = f"checkpoint_dir is {str(checkpoint_dir)!r}, a file; pass the path of a folder."
        raise ValueError(msg)
