"""Training on random crops with the core's engine."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from scif.core import Engine, Objective
from scif.core.engine.chatter import without_chatter
from scif.core.engine.running import Checkpoint, run
from scif.fields.images._patches import Patches
from scif.fields.images._training import Training

__all__ = ["CHECKS", "Trained", "train"]

CHECKS = 20
"""Times that training is judged."""
_PATIENCE = 5
"""Checks without a new best after which training ends."""
_RISK = "validation_anchor"
"""The logged value that estimates the squared error against the clean image."""


@dataclass(frozen=True)
class Trained:
    """The engine after training, the mean of every logged value by epoch, and whether training was interrupted."""

    engine: Engine
    history: dict[str, list[float]]
    interrupted: bool


def train(
    model: nn.Module,
    objective: Objective,
    crops: Patches,
    training: Training,
    *,
    max_steps: int,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train a model: the engine with its moving average, and the mean of every logged value by epoch.

    An epoch is a pass over ``crops``. The targets come from the moving average, which ends as it was where the
    squared error on held-out crops was least, if there are any and the objective knows that error. The engine stays on
    the device of the training. Torch's global generator is left as it was.
    """
    engine = Engine(
        model,
        objective,
        lr=training.lr,
        weight_decay=1e-4,
        optimizer="muon",
        warmup_steps=max(max_steps // 20, 1),
        total_steps=max_steps,
        ema_decay=training.ema_decay,
        ema_teacher=True,
        seed=seed,
    )
    history, best = History(), KeepBest()
    held_out: Any = crops.held_out()  # a list is a data set, which its type does not say
    options: dict[str, Any] = {
        "max_steps": max_steps,
        "max_epochs": -1,
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": training.progress,
        "enable_model_summary": False,
        "gradient_clip_val": 1.0,
        "num_sanity_val_steps": 0,
        **training.trainer,
    }
    options["callbacks"] = [*training.trainer.get("callbacks", []), best, history]
    with torch.random.fork_rng(), without_chatter():
        warnings.filterwarnings("ignore", module="lightning")  # about validation and workers, which are not wanted
        torch.manual_seed(seed)
        validation = DataLoader(held_out, batch_size=None) if held_out else None
        outcome = run(engine, crops, validation, options=options, checkpoint=checkpoint)
    best.restore(engine)
    # Lightning leaves it on the CPU
    return Trained(engine.to(outcome.trainer.strategy.root_device), history.values, outcome.interrupted)


class History(pl.Callback):
    """The mean of every logged value, one number an epoch."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up what was logged."""
        for name, value in trainer.callback_metrics.items():
            self.values.setdefault(name, []).append(float(value))

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint keeps."""
        return {"values": {name: list(values) for name, values in self.values.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.values.update(state_dict["values"])


class KeepBest(pl.Callback):
    """Keeps the averaged weights of the least held-out risk, and ends training when that keeps rising."""

    def __init__(self) -> None:
        self.least, self.waited = math.inf, 0
        self.weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare with the best so far."""
        if _RISK not in trainer.callback_metrics:
            return
        engine: Any = pl_module
        risk = float(trainer.callback_metrics[_RISK])
        if risk < self.least:
            self.least, self.waited = risk, 0
            self.weights = {name: value.clone() for name, value in engine.averaged.state_dict().items()}
            return
        self.waited += 1
        if self.waited >= _PATIENCE:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """State that a checkpoint keeps."""
        return {"least": self.least, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.least, self.waited = state_dict["least"], state_dict["waited"]
        self.weights = state_dict["weights"]

    def restore(self, engine: Engine) -> None:
        """Give the average the best weights, if any were judged."""
        if self.weights is not None:
            engine.averaged.load_state_dict(self.weights)
