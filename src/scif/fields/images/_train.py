"""Training on random crops with the core's engine."""

from __future__ import annotations

import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from scif.core import Engine, Objective
from scif.core.engine.chatter import without_chatter
from scif.fields.images._patches import Patches

__all__ = ["train"]


def train(
    model: nn.Module,
    objective: Objective,
    patches: Patches,
    *,
    steps: int,
    lr: float,
    ema_decay: float,
    seed: int,
    progress: bool,
    **trainer_options: Any,
) -> tuple[Engine, dict[str, list[float]]]:
    """Train a model and return the engine with its moving average, and the mean of every logged value by epoch.

    An epoch is a pass over ``patches``. The targets come from the moving average. The engine stays on the device of the
    training. Torch's global generator is left as it was.
    """
    engine = Engine(
        model,
        objective,
        lr=lr,
        weight_decay=1e-4,
        optimizer="muon",
        warmup_steps=max(steps // 20, 1),
        total_steps=steps,
        ema_decay=ema_decay,
        ema_teacher=True,
        seed=seed,
    )
    history = _History()
    options: dict[str, Any] = {
        "max_steps": steps,
        "max_epochs": -1,
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": progress,
        "enable_model_summary": False,
        "gradient_clip_val": 1.0,
        **trainer_options,
    }
    options["callbacks"] = [*trainer_options.get("callbacks", []), history]
    with torch.random.fork_rng(), without_chatter():
        warnings.filterwarnings("ignore", module="lightning")  # about validation and workers, which are not wanted
        torch.manual_seed(seed)
        trainer = pl.Trainer(**options)
        trainer.fit(engine, patches)
    # Lightning leaves it on the CPU
    return engine.to(trainer.strategy.root_device), history.values


class _History(pl.Callback):
    """The mean of every logged value, one number an epoch."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up what was logged."""
        for name, value in trainer.callback_metrics.items():
            self.values.setdefault(name, []).append(float(value))
