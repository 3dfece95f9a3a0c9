"""Learning curves of processes that Lightning forks, which end with them, for the process that started them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from scif.counts.training import CountPlan, Curves

__all__ = ["HandedBack"]


class HandedBack(Callback):
    """Writes what Lightning does not bring back with the weights, and takes it up.

    Parameters
    ----------
    folder
        A folder that all processes see.
    plan
        What is trained.
    curves
        Its learning curves.
    """

    def __init__(self, folder: str | Path, plan: CountPlan, curves: Curves) -> None:
        self.path, self.plan, self.curves = Path(folder) / "curves.pt", plan, curves
        self.epochs: int | None = None

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the curves of the first process."""
        if trainer.is_global_zero and trainer.world_size > 1:
            best = None if self.plan.best is None else float(self.plan.best[0])
            kept = {"curves": self.curves.state_dict(), "best": best, "epochs": int(trainer.current_epoch)}
            torch.save(kept, self.path)

    def take_up(self) -> None:
        """Go on with the curves of processes that are over; nothing happens where this process trained."""
        if not self.path.exists() or self.curves.state_dict()["values"]:
            return
        kept = torch.load(self.path, weights_only=True)
        self.curves.load_state_dict(kept["curves"])
        self.epochs = kept["epochs"]
        if kept["best"] is not None:
            self.plan.best = (kept["best"], self.plan.model.state_dict())
