"""Progress of a fit: the stage by name, and the time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

__all__ = ["EpochProgress", "StageProgress"]


class EpochProgress(Callback):
    """A bar over epochs; plain lines where the output is no terminal and no notebook."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the bar."""
        if trainer.is_global_zero and not _plain():
            self._bar = tqdm(total=trainer.max_epochs, desc="network", unit="epoch", **_quiet())

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Advance by one epoch."""
        if self._bar is not None:
            loss = trainer.callback_metrics.get("validation_loss")
            if loss is not None:
                self._bar.set_postfix_str(f"validation loss {float(loss):.4f}", refresh=False)
            self._bar.update()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif trainer.is_global_zero:
            print(f"scif: network trained, {trainer.current_epoch + 1} epochs", flush=True)  # noqa: T201


class StageProgress:
    """A bar over stages that names the present one.

    Parameters
    ----------
    names
        Stages to come.
    enabled
        Whether to show anything.
    """

    def __init__(self, names: tuple[str, ...], *, enabled: bool) -> None:
        self._bar: Any = tqdm(
            total=len(names), desc="stages", unit="stage", disable=not enabled or _plain(), **_quiet()
        )
        self._lines = enabled and _plain()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name a stage while it runs."""
        self._bar.set_description_str(name.replace("_", " "))
        if self._lines:
            print(f"scif: {name.replace('_', ' ')}", flush=True)  # noqa: T201
        yield
        self._bar.update()

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()


def _plain() -> bool:
    """Whether the output is a log: neither a terminal nor a notebook."""
    return not sys.stdout.isatty() and "ipykernel" not in sys.modules


def _quiet() -> dict[str, Any]:
    """Options of a bar."""
    return {"file": sys.stdout, "mininterval": 0.5, "leave": True}
