"""Training the network by Lightning, judged by held-out molecules."""

from __future__ import annotations

import copy
from typing import Any, cast

import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from scif.core import Engine
from scif.core.engine.running import ABOUT
from scif.core.objective import LossOutput, Objective, SumObjective
from scif.counts.config import NetworkConfig
from scif.counts.consistency import CountConsistency
from scif.counts.data.batch import CountBatch
from scif.counts.posterior.expectation import composition

__all__ = ["CountPlan", "Curves"]


class CountPlan(Engine):
    """The core's engine on sparse minibatches; the best averaged weights are kept.

    Parameters
    ----------
    module
        The model; after training its network has the best averaged weights.
    parts
        Terms of the objective, with their weights.
    config
        Learning rate and averaging.
    seed
        Seed of everything that is drawn.
    """

    model: CountConsistency

    def __init__(
        self, module: CountConsistency, parts: dict[str, tuple[Objective, float]], config: NetworkConfig, *, seed: int
    ) -> None:
        super().__init__(
            module,
            SumObjective(parts),
            lr=config.lr,
            weight_decay=config.weight_decay,
            warmup_steps=config.warmup_steps,
            ema_decay=config.ema_decay,
            ema_teacher=True,
            seed=seed,
        )
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.about = ""
        self._losses: list[tuple[Tensor, int]] = []

    @property
    def averaged(self) -> CountConsistency:
        """The moving average of the model."""
        return cast("CountConsistency", super().averaged)

    @property
    def has_trained(self) -> bool:
        """Whether there was an optimiser step."""
        return int(self.ema.n_averaged) > 0

    def loss(self, batch: CountBatch, model: Any, *, generator: torch.Generator | None) -> LossOutput:
        """All terms on one minibatch."""
        return self.objective(
            model,
            batch.x,
            teacher=self.averaged,
            generator=generator,
            batch=batch.batch,
            ratio=batch.ratio,
            parts=batch.parts,
            weight=batch.weight,
        )

    def validation_step(self, batch: CountBatch, batch_idx: int) -> None:
        """Poisson loss of held-out molecules under the averaged weights; nothing is drawn."""
        held_out, model = batch.held_out, self.averaged
        if held_out is None:
            return
        mu = batch.x.totals()[:, None] * composition(model.network, model.fitted, batch)
        # molecules of one cell share technical dispersion, so that all of a gene's dispersion counts here
        shape = 1.0 / model.fitted.dispersion.total
        mean = torch.lerp(mu, batch.x.dense(), mu / (mu + shape))
        mean = mean * (held_out.totals() / mean.sum(1).clamp_min(1e-6))[:, None]
        at_molecules = mean[held_out.rows, held_out.columns]
        loss = mean.sum() - (held_out.values * (at_molecules + 1e-6).log()).sum()
        self._losses.append((loss, mean.numel()))

    def on_validation_epoch_end(self) -> None:
        """Log the loss per entry, and remember the best weights."""
        if not self._losses:
            return
        losses = torch.stack([loss for loss, _ in self._losses]).sum()
        entries = torch.tensor(sum(entries for _, entries in self._losses), device=self.device)
        self._losses.clear()
        # every process sees a part of the cells, and all must keep the same weights
        losses, entries = (self.trainer.strategy.reduce(x, reduce_op="sum") for x in (losses, entries))
        value = float(losses) / int(entries)
        self.log("validation_loss", value, prog_bar=True)
        if self.best is None or value < self.best[0]:
            self.best = (value, copy.deepcopy(self.averaged.state_dict()))

    def on_train_end(self) -> None:
        """Leave the best averaged weights in the model."""
        self.keep_best()

    def keep_best(self) -> None:
        """Put the best averaged weights so far into the model; the last ones without validation."""
        if self.has_trained:
            self.model.load_state_dict(self.averaged.state_dict() if self.best is None else self.best[1])
            self.model.eval()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best weights, and which training it is."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[ABOUT] = {"about": self.about}
        if self.best is not None:
            checkpoint["best_loss"], checkpoint["best_weights"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the best weights up."""
        super().on_load_checkpoint(checkpoint)
        if "best_loss" in checkpoint:
            self.best = (checkpoint["best_loss"], checkpoint["best_weights"])


class Curves(Callback):
    """Learning curves: every logged value by epoch."""

    def __init__(self) -> None:
        self._values: dict[str, dict[int, float]] = {}

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the means of the epoch."""
        self._keep(trainer, "train_")

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the loss of the validation check."""
        if not trainer.sanity_checking:
            self._keep(trainer, "validation_")

    def _keep(self, trainer: Any, prefix: str) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith(prefix):
                self._values.setdefault(name, {})[int(trainer.current_epoch)] = float(value)

    def frames(self, *, after: dict[str, pd.DataFrame] | None = None) -> dict[str, pd.DataFrame]:
        """One column by epoch for each curve, after those of an earlier training."""
        old = dict(after or {})
        done = max((int(curve.index.max()) + 1 for curve in old.values() if len(curve)), default=0)
        for name, values in self._values.items():
            index = pd.Index([done + epoch for epoch in values], name="epoch")
            curve = pd.DataFrame({name: list(values.values())}, index=index)
            old[name] = pd.concat([old[name], curve]) if name in old else curve
        return old

    def state_dict(self) -> dict[str, Any]:
        """Curves so far, for a checkpoint."""
        return {"values": self._values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the curves of a checkpoint."""
        self._values = state_dict["values"]
