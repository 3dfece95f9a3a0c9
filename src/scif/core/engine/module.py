"""Training: one Lightning module for every objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightning.pytorch as pl
import torch
import torch.distributed
from torch import Tensor, nn

from scif.core._check import check_positive
from scif.core.ema import ExponentialAverage
from scif.core.monitor import Collapse, collapse
from scif.core.muon import MuonAdamW
from scif.core.objective.base import LossOutput, Objective, SumObjective
from scif.core.objective.inverse import Inverse

__all__ = ["Engine", "NonFiniteLoss", "Unpacked"]


class NonFiniteLoss(FloatingPointError):
    """The loss or a gradient is not finite. The weights are those of the last valid step."""


@dataclass(frozen=True)
class Unpacked:
    """Observations of a batch, and named conditions for the network."""

    x1: Any
    """The observations."""
    condition: dict[str, Any]
    """The conditions."""


class Engine(pl.LightningModule):
    """Trains a model on an objective.

    The optimiser is AdamW or Muon, with a linear warm-up and a cosine decay. An exponential moving average of the
    weights is the model to use afterwards (:attr:`averaged`), and optionally the teacher of the objective. Optimisation
    is automatic: gradient clipping, accumulation, mixed precision, several devices and checkpoints are arguments of the
    trainer. All random numbers come from one generator, whose state is part of a checkpoint, so a resumed run equals an
    uninterrupted run bit for bit.

    Parameters
    ----------
    model
        Consistency function, velocity or head.
    objective
        Objective to minimise.
    lr
        Largest learning rate.
    weight_decay
        Weight decay.
    optimizer
        ``"adamw"``, or ``"muon"`` (:class:`~scif.core.MuonAdamW`) for convolutional networks, which then need fewer
        steps.
    warmup_steps
        Optimiser steps over which the learning rate rises to ``lr``.
    final_lr
        Learning rate at the end, as a fraction of ``lr``.
    total_steps
        Optimiser steps over which the learning rate decays; default those of the trainer.
    ema_decay
        Fraction of the average that each step keeps.
    ema_teacher
        Take targets and clean estimates from the average. If False, they come from the model itself, as published.
    seed
        Seed of the generator; each process of a distributed run adds its rank.

    Examples
    --------
    >>> import torch
    >>> from scif.core import InverseConsistency, ConsistencyFunction, Engine
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> engine = Engine(ConsistencyFunction(TimeMLP(2)), InverseConsistency(Gaussian(1.0)))
    >>> engine.averaged(torch.randn(5, 2), 1.0).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        optimizer: Literal["adamw", "muon"] = "adamw",
        warmup_steps: int = 100,
        final_lr: float = 0.01,
        total_steps: int | None = None,
        ema_decay: float = 0.999,
        ema_teacher: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive(lr, name="lr")
        check_positive(weight_decay, name="weight_decay", strict=False)
        check_positive(final_lr, name="final_lr", strict=False)
        if warmup_steps < 0:
            msg = f"warmup_steps is {warmup_steps}; it must not be negative."
            raise ValueError(msg)
        if optimizer not in ("adamw", "muon"):
            msg = f"optimizer is {optimizer!r}; choose 'adamw' or 'muon'."
            raise ValueError(msg)
        self.model = model
        self.objective = objective
        self.ema = ExponentialAverage(model, ema_decay)
        self.lr, self.weight_decay, self.optimizer = lr, weight_decay, optimizer
        self.warmup_steps, self.final_lr, self.total_steps = warmup_steps, final_lr, total_steps
        self.ema_teacher = ema_teacher
        self.seed = seed
        self._generator: torch.Generator | None = None
        self._random_states: list[dict[str, Any]] = []
        self._sums: dict[str, Any] = {}
        self._added = 0

    @property
    def averaged(self) -> nn.Module:
        """Moving average of the model; use it after training."""
        module: nn.Module = self.ema.module
        return module

    def unpack(self, batch: Any) -> Unpacked:
        """Observations and conditions of a batch. Override it for other kinds of batch.

        A tensor is the observations; a mapping has them as ``"x1"``, and everything else is a condition.
        """
        if isinstance(batch, Mapping):
            return Unpacked(batch["x1"], {name: value for name, value in batch.items() if name != "x1"})
        if isinstance(batch, list | tuple) and len(batch) == 1:
            return Unpacked(batch[0], {})
        if isinstance(batch, Tensor):
            return Unpacked(batch, {})
        msg = f"a batch is a {type(batch).__name__}; give a tensor or a mapping with 'x1', or override unpack()."
        raise TypeError(msg)

    def loss(self, batch: Any, model: nn.Module, *, generator: torch.Generator | None) -> LossOutput:
        """Objective on one batch. Override it to prepare batches in another way."""
        unpacked = self.unpack(batch)
        teacher = self.averaged if self.ema_teacher else None
        return self.objective(model, unpacked.x1, teacher=teacher, generator=generator, **unpacked.condition)

    @torch.no_grad()
    def collapse(self, batch: Any, *, batch_size: int = 256) -> Collapse | None:
        """Check the estimates of the averaged model for collapse, if the objective is an inverse one.

        See :func:`~scif.core.monitor.collapse`; random numbers depend only on the seed.

        Parameters
        ----------
        batch
            Observations and conditions, in the form of a training batch.
        batch_size
            Rows per call of the model.
        """
        whole = self.objective
        parts = whole.parts.values() if isinstance(whole, SumObjective) else [whole]
        inverse = next((part for part in parts if isinstance(part, Inverse)), None)
        if inverse is None:
            return None
        unpacked = self.unpack(self.transfer_batch_to_device(batch, self.device, 0))
        x1, generator = unpacked.x1, torch.Generator(self.device).manual_seed(self.seed)
        self.averaged.eval()
        x0 = []
        for start in range(0, len(x1), batch_size):
            rows = slice(start, start + batch_size)
            condition = {
                name: value[rows] if isinstance(value, Tensor) and value.shape[:1] == x1.shape[:1] else value
                for name, value in unpacked.condition.items()
            }
            x0.append(inverse.transport(self.averaged, x1[rows], generator=generator, **condition))
        return collapse(x1, torch.cat(x0), inverse.noise, generator=generator)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of one batch, which must be finite."""
        self.objective.set_step(self.global_step)
        out = self.loss(batch, self.model, generator=self._generator)
        if not bool(torch.isfinite(out.loss)):
            terms = ", ".join(f"{name} {float(value):g}" for name, value in out.terms.items())
            self._give_up(f"the loss is {float(out.loss.detach()):g}" + (f" ({terms})" if terms else ""))
        for name, value in _values("train", out).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._added += 1
        return out.loss

    def on_train_epoch_start(self) -> None:
        """Begin the means of an epoch."""
        self._sums, self._added = {}, 0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means of the epoch with its last batch; logging every batch would take as long as the network."""
        trainer = self.trainer
        if trainer.is_last_batch or trainer.should_stop or 0 <= trainer.max_steps <= trainer.global_step:
            self._log_means()

    def on_train_epoch_end(self) -> None:
        """Log the means if no batch was known to be the last."""
        self._log_means()

    def _log_means(self) -> None:
        if self._added > 0:
            means = {name: value / self._added for name, value in self._sums.items()}
            self._log(means, sync_dist=self.trainer.world_size > 1)
            self._sums, self._added = {}, 0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss of the averaged model, always with the same random numbers, so that curves compare."""
        generator = torch.Generator(self.device).manual_seed(self.seed + 1 + batch_idx)
        self._log(_values("validation", self.loss(batch, self.averaged, generator=generator)), sync_dist=True)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse gradients that are not finite, unless a gradient scaler does."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        if gradients and not bool(torch.isfinite(torch.stack(torch._foreach_norm(gradients))).all()):
            self._give_up("a gradient is not finite")

    def on_fit_start(self) -> None:
        """Create this process's generator, and leave evaluation mode: a second fit trains like the first."""
        self.train()
        self._generator = torch.Generator(self.device).manual_seed(self.seed + self.global_rank)

    def on_train_start(self) -> None:
        """Restore the random states of a checkpoint, and set the average to evaluation mode."""
        self.ema.eval()
        if len(self._random_states) == self.trainer.world_size:
            _restore(self._generator, self._random_states[self.global_rank])
        self._random_states = []

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Make a step and update the average: once per optimiser step, before any checkpoint of this step."""
        super().optimizer_step(*args, **kwargs)
        self.ema.update_parameters(self.model)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the means of the epoch so far, and the random states of all processes."""
        checkpoint["epoch_sums"] = ({name: value.cpu() for name, value in self._sums.items()}, self._added)
        if self._generator is None:
            return
        state = _state(self._generator)
        states = [state]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            states = [{} for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(states, state)
        checkpoint["random_states"] = states

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the means of the epoch, and keep the random states until training starts."""
        self._sums, self._added = checkpoint.get("epoch_sums", ({}, 0))
        self._random_states = checkpoint.get("random_states", [])

    def configure_optimizers(self) -> Any:
        """Optimiser of the trainable parameters, with a learning rate for every step."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "muon":
            optimizer = MuonAdamW(learning, lr=self.lr, weight_decay=self.weight_decay)
        else:
            # one kernel for all weights; with mixed precision Lightning cannot clip the gradients of such an optimiser
            fused = "mixed" not in str(self.trainer.precision)
            optimizer = torch.optim.AdamW(learning, lr=self.lr, weight_decay=self.weight_decay, fused=fused)
        total = self.total_steps or self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._lr_share(step, float(total)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _lr_share(self, step: int, total: float) -> float:
        """Learning rate as a share of the largest: up in a line, down along a cosine (constant if there is no end)."""
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        if math.isinf(total):
            return rise
        progress = min(max(step - self.warmup_steps, 0) / max(total - self.warmup_steps, 1), 1.0)
        return rise * (self.final_lr + (1.0 - self.final_lr) * 0.5 * (1.0 + math.cos(math.pi * progress)))

    def _log(self, values: dict[str, Tensor], *, sync_dist: bool = False) -> None:
        # every batch weighs the same in the mean of an epoch
        self.log_dict(values, on_epoch=True, on_step=False, prog_bar=True, batch_size=1, sync_dist=sync_dist)

    def _give_up(self, what: str) -> None:
        msg = (
            f"{what} at step {self.global_step}; the weights are those of the last valid step. Lower lr, clip "
            "gradients (gradient_clip_val), or look for invalid values in the data."
        )
        raise NonFiniteLoss(msg)


def _values(stage: str, out: LossOutput) -> dict[str, Tensor]:
    """Loss and terms by the names under which they are logged."""
    return {f"{stage}_loss": out.loss.detach()} | {f"{stage}_{k}": v.detach() for k, v in out.terms.items()}


def _state(generator: torch.Generator) -> dict[str, Any]:
    """The generator's state, and torch's global ones (dropout and data loaders draw from these)."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"generator": generator.get_state(), "torch": torch.get_rng_state(), "cuda": cuda}


def _restore(generator: torch.Generator | None, state: dict[str, Any]) -> None:
    if generator is not None:
        generator.set_state(state["generator"].cpu())
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
