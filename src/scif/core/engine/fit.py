"""Training in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from scif.core._check import check_batch, check_fraction, check_whole
from scif.core.engine.batches import Batches
from scif.core.engine.chatter import without_chatter
from scif.core.engine.module import Engine
from scif.core.engine.running import Checkpoint, check_trainer_options, run
from scif.core.objective.base import Objective

__all__ = ["fit"]

_FEWEST_ROWS = 20


def fit(
    model: nn.Module,
    objective: Objective,
    x1: Tensor | Mapping[str, Tensor],
    *,
    max_steps: int,
    batch_size: int = 256,
    lr: float = 1e-3,
    ema_decay: float = 0.999,
    ema_teacher: bool = False,
    warmup_steps: int = 100,
    final_lr: float = 0.01,
    weight_decay: float = 0.01,
    optimizer: Literal["adamw", "muon"] = "adamw",
    seed: int = 0,
    gradient_clip: float | None = 1.0,
    progress: bool = False,
    judged_rows: int = 4096,
    checkpoint: Checkpoint | None = None,
    resume_from: str | Path | None = None,
    **trainer_options: Any,
) -> nn.Module:
    """Train a model on an objective over observations in memory, and return its moving average.

    The model itself ends with the weights of the last step. Random numbers depend only on the seed; torch's global
    generator is not changed. After training with an inverse objective, the collapse monitor checks the result and warns
    if the signal was lost.

    Parameters
    ----------
    model
        Consistency function, velocity or head, with its initial weights.
    objective
        Objective to minimise.
    x1
        Observations ``(n, ...)``, or a mapping with observations as ``"x1"`` and conditions by name, one row per
        observation. Objectives for clean signals take clean data.
    max_steps
        Optimiser steps.
    batch_size
        Rows per batch, at most ``n``.
    lr, ema_decay, ema_teacher, warmup_steps, final_lr, weight_decay, optimizer
        Same as for :class:`Engine`.
    seed
        Seed of the data order and of all random draws.
    gradient_clip
        Maximum norm of the gradient; None for no clipping.
    progress
        Whether to show a progress bar.
    judged_rows
        Maximum number of observations for the collapse monitor.
    checkpoint
        Checkpoint file, written every minute and on a signal. If it exists, training resumes from it, bit for bit.
    resume_from
        Checkpoint of an interrupted run with the same arguments.
    **trainer_options
        Arguments of ``lightning.pytorch.Trainer``: ``accelerator``, ``devices``, ``precision``, ``callbacks``,
        ``accumulate_grad_batches``, ``logger`` and so on.

    Returns
    -------
    The averaged model, in evaluation mode.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C comes before the first step is complete. Later it ends training, and the current model is returned.
    NonFiniteLoss
        If the loss or a gradient is not finite; the model keeps the weights of the last valid step.

    Warns
    -----
    CollapseWarning
        If the clean estimates have lost the signal.

    Examples
    --------
    >>> import torch
    >>> from scif.core import InverseConsistency, ConsistencyFunction, fit
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> x1 = 3.0 * torch.randn(64, 2)
    >>> model = ConsistencyFunction.calibrated(TimeMLP(2, hidden=8, depth=1), x1, Gaussian(1.0))
    >>> denoiser = fit(model, InverseConsistency(Gaussian(1.0)), x1, max_steps=2, batch_size=32)
    >>> denoiser(x1, 1.0).shape
    torch.Size([64, 2])
    """
    max_steps = check_whole(max_steps, name="max_steps")
    judged_rows = check_whole(judged_rows, name="judged_rows")
    check_fraction(ema_decay, name="ema_decay")
    check_trainer_options(trainer_options)
    for name, part in x1.items() if isinstance(x1, Mapping) else [("x1", x1)]:
        if name == "x1" or not isinstance(part, Tensor):
            check_batch(part, name=name)
    batches = Batches(x1, check_whole(batch_size, name="batch_size"), seed=seed)
    engine = Engine(
        model,
        objective,
        lr=lr,
        ema_decay=ema_decay,
        ema_teacher=ema_teacher,
        warmup_steps=warmup_steps,
        final_lr=final_lr,
        weight_decay=weight_decay,
        optimizer=optimizer,
        seed=seed,
    )
    callbacks = trainer_options.get("callbacks", [])
    options: dict[str, Any] = {
        "max_steps": max_steps,
        "max_epochs": -1,
        "devices": 1,
        "logger": False,
        "enable_checkpointing": any(isinstance(c, pl.callbacks.Checkpoint) for c in callbacks),
        "enable_progress_bar": progress,
        "enable_model_summary": False,
        "gradient_clip_val": gradient_clip,
    }
    with torch.random.fork_rng(), without_chatter():
        torch.manual_seed(seed)  # dropout draws from the global generator
        interrupted = run(
            engine, batches, options=options | trainer_options, checkpoint=checkpoint, resume_from=resume_from
        ).interrupted
    judge = batches.rows >= _FEWEST_ROWS and not interrupted
    report = engine.collapse(batches.head(judged_rows)) if judge else None
    if report is not None:
        report.warn()
    return engine.averaged.eval()
