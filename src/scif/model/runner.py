"""Running Lightning's trainer on the count model, so that nothing that was trained is lost."""

from __future__ import annotations

import warnings
from typing import Any

from scvi.train import TrainRunner

from scif.core.engine.chatter import without_chatter

__all__ = ["CountRunner"]


class CountRunner(TrainRunner):
    """scvi-tools' runner, which keeps every curve and every finished epoch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with without_chatter():
            super().__init__(*args, **kwargs)

    def _run_training_core(self) -> None:
        interrupted = False
        try:
            try:
                with without_chatter():
                    self.trainer.fit(self.training_plan, self.data_splitter, ckpt_path=self.ckpt_path)
            except (KeyboardInterrupt, SystemExit):  # Lightning turns the former into the latter
                if int(self.training_plan.ema.n_averaged) == 0:
                    raise
                interrupted = True
                self.training_plan.finish()
        except BaseException:
            self.training_plan.give_up()
            raise
        self._update_history()
        if interrupted:
            print_interrupted(int(self.trainer.current_epoch))
        self.model.train_indices = self.data_splitter.train_idx
        self.model.validation_indices = self.data_splitter.val_idx
        self.model.module.eval()
        self.model.is_trained_ = True
        self.model.to_device(self.device)
        self.model.trainer = self.trainer

    def _update_history(self) -> None:
        import pandas as pd

        if not self.trainer.is_global_zero:
            self.model.history_ = self.model.history_ or {}
            return
        old = dict(self.model.history_ or {})
        done = max((len(curve) for curve in old.values()), default=0)
        logged = getattr(self.trainer.logger, "history", None) or {}
        for key, curve in logged.items():
            if not isinstance(curve, pd.DataFrame):
                continue
            new = curve.astype(float)
            new.index = pd.Index([int(i) + done for i in new.index], name=curve.index.name)
            old[key] = pd.concat([old[key], new]) if key in old else new
        self.model.history_ = old


def print_interrupted(epochs: int) -> None:
    """Say that training was stopped by hand and that nothing is lost."""
    warnings.warn(
        f"Training was interrupted after {epochs} epochs; the model keeps the best weights so far.",
        UserWarning,
        stacklevel=2,
    )
