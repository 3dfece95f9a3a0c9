"""Running Lightning's trainer: signals are met at the end of a step, and what is done is on disk."""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import Accelerator, AcceleratorRegistry
from torch import Tensor

if TYPE_CHECKING:
    from scif.core.engine.module import Engine

__all__ = ["ABOUT", "Checkpoint", "Outcome", "check_trainer_options", "run"]

EVERY = 60.0
"""Seconds of training between checkpoints: what a lost machine costs at most."""
_CHIPS = {"gpu": ("cuda", "mps"), "cuda": ("cuda",), "mps": ("mps",)}
"""Lightning's names of what an accelerator may be."""
ABOUT = "scif_training"
"""Entry of a checkpoint that says which training it is of."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that a training goes on from.

    Parameters
    ----------
    path
        The file, in a folder that is made if need be.
    about
        What decides the result, in plain text: another training is refused.
    """

    path: Path
    about: str

    @classmethod
    def of(cls, folder: str | Path, name: str, data: Tensor, **settings: Any) -> Checkpoint:
        """The file of a training in a folder, told by its data and settings."""
        digest = hashlib.sha256(data.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:12]
        told = ", ".join(f"{key} {value}" for key, value in sorted(settings.items()) if _is_plain(value))
        return cls(Path(folder) / f"{name}.ckpt", f"data {digest}, {told}")

    def read(self) -> dict[str, Any] | None:
        """The state on disk, or None. It is read as numbers and text: a file with code in it is refused.

        Raises
        ------
        ValueError
            If the file is damaged, no checkpoint, or of another training.
        """
        if not self.path.exists():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            about = found[ABOUT]["about"]
        except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
            msg = f"{str(self.path)!r} is damaged or not a checkpoint of scif ({_first_line(error)}); remove it."
            raise ValueError(msg) from None
        if about != self.about:
            msg = (
                f"{str(self.path)!r} is a checkpoint of another training (other data or arguments: {about}, here "
                f"{self.about}); give another checkpoint_dir, or remove it."
            )
            raise ValueError(msg)
        return dict(found)

    def write(self, trainer: pl.Trainer) -> None:
        """Write the state, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.part")
        try:
            trainer.save_checkpoint(part, weights_only=False)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)


class _Stopped(Exception):
    """Training ends at the end of a step, because a signal came."""


@dataclass
class _Watch(pl.Callback):
    """Writes checkpoints, and ends training at the end of a step after a signal."""

    checkpoint: Checkpoint | None
    received: list[int] = field(default_factory=list)
    before: dict[int, Any] = field(default_factory=dict)
    finished: bool = False
    saved: float = field(default_factory=time.monotonic)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say which training it is, and whether it is over."""
        if self.checkpoint is not None:
            checkpoint[ABOUT] = {"about": self.checkpoint.about, "finished": self.finished}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Receive signals instead of Lightning, which began to just before and would end a step without saving."""
        for number in self.before:
            signal.signal(number, self.receive)
        if self.received:
            raise _Stopped

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Save and stop, unless the means of an epoch are about to be logged."""
        if not trainer.is_last_batch:
            self._pause(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save and stop."""
        self._pause(trainer)

    def _pause(self, trainer: pl.Trainer) -> None:
        stop = bool(self.received)  # read once: a signal that comes below waits for the next step and its checkpoint
        if self.checkpoint is not None and (stop or time.monotonic() - self.saved >= EVERY):
            self.checkpoint.write(trainer)
            self.saved = time.monotonic()
        if stop:
            raise _Stopped

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; the second one does not wait for the end of the step."""
        self.received.append(number)
        if len(self.received) == 2:
            handler = self.before[number]
            if callable(handler):
                handler(number, frame)
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive Ctrl-C and a scheduler's SIGTERM; in the main thread only, where Python delivers them."""
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self.before = {n: handler for n, handler in found.items() if handler not in (None, signal.SIG_IGN)}
        for number in self.before:
            signal.signal(number, self.receive)
        try:
            yield
        finally:
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def deliver(self) -> None:
        """Hand a signal on to who received them before; Ctrl-C in plain Python ends the training alone."""
        if self.received and self.before[self.received[0]] is not signal.default_int_handler:
            signal.raise_signal(self.received[0])


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    trainer: pl.Trainer
    """Trainer after training."""
    interrupted: bool
    """True if training was stopped early."""


def run(
    engine: Engine,
    batches: Any,
    validation: Any = None,
    *,
    options: Mapping[str, Any],
    checkpoint: Checkpoint | None = None,
    resume_from: str | Path | None = None,
) -> Outcome:
    """Train an engine; its model is usable afterwards, after an interruption as well.

    The first Ctrl-C ends training at the end of the step, the second at once. SIGTERM, and Ctrl-C where somebody
    receives signals, are handed on after the checkpoint is written. A training with a checkpoint goes on from it, bit
    for bit.

    Parameters
    ----------
    engine
        What to train.
    batches, validation
        Data loaders.
    options
        For ``lightning.pytorch.Trainer``.
    checkpoint
        The file that the state goes to, and from.
    resume_from
        Checkpoint of Lightning, of which nothing is asked.

    Returns
    -------
    How it ended.

    Raises
    ------
    KeyboardInterrupt
        If training was interrupted before the first step was done.
    """
    watch = _Watch(checkpoint)
    trainer = pl.Trainer(**{**options, "callbacks": [*options.get("callbacks", []), watch]})
    found = None if checkpoint is None else checkpoint.read()
    stopped = False
    if found is not None and found[ABOUT]["finished"]:
        _take_up(engine, trainer, found)
    else:
        with watch.listening():
            try:
                if found is not None and checkpoint is not None:
                    trainer.fit(engine, batches, validation, ckpt_path=checkpoint.path, weights_only=True)
                else:
                    trainer.fit(engine, batches, validation, ckpt_path=resume_from)
                watch.finished = True
                if checkpoint is not None:
                    checkpoint.write(trainer)
            except (_Stopped, KeyboardInterrupt, SystemExit):  # Lightning makes the last of the second
                stopped = True
        watch.deliver()
    if stopped:
        _tell(engine, trainer, checkpoint)
    return Outcome(trainer, stopped)


def _take_up(engine: Engine, trainer: pl.Trainer, found: Mapping[str, Any]) -> None:
    """The end of a training that was finished before."""
    engine.load_state_dict(found["state_dict"])
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if callback.state_key in found["callbacks"]:
            callback.load_state_dict(found["callbacks"][callback.state_key])


def _tell(engine: Engine, trainer: pl.Trainer, checkpoint: Checkpoint | None) -> None:
    """Say what was kept, if there is anything."""
    if int(engine.ema.n_averaged) == 0:
        raise KeyboardInterrupt
    again = "" if checkpoint is None else f" Call it again with the same arguments to resume from {checkpoint.path}."
    warnings.warn(
        f"Training was interrupted after {trainer.global_step} of {trainer.max_steps} steps; the current network is "
        f"kept, and checks of the result are skipped.{again}",
        UserWarning,
        stacklevel=4,
    )


def check_trainer_options(options: Mapping[str, Any]) -> None:
    """Raise unless Lightning's trainer knows the options and this machine has what they ask for.

    Raises
    ------
    TypeError
        If an option is unknown.
    ValueError
        If the accelerator is unknown, or there are fewer devices.
    """
    known = set(inspect.signature(pl.Trainer).parameters)
    for name in options:
        if name not in known:
            msg = f"{name!r} is neither an argument of fit(), such as max_steps, nor of Lightning's Trainer."
            raise TypeError(msg)
    accelerator, devices = options.get("accelerator", "auto"), options.get("devices", 1)
    there = ("auto", "gpu", *AcceleratorRegistry.available_accelerators())
    if not isinstance(accelerator, Accelerator) and accelerator not in there:
        msg = f"accelerator is {accelerator!r}; choose one of {', '.join(map(repr, there))}."
        raise ValueError(msg)
    if accelerator in _CHIPS and not any(AcceleratorRegistry.get(chip).is_available() for chip in _CHIPS[accelerator]):
        msg = f"accelerator is {accelerator!r}, but PyTorch finds none on this machine; take 'auto' or 'cpu'."
        raise ValueError(msg)
    if isinstance(devices, int) and (devices < 1 and devices != -1):
        msg = f"devices is {devices!r}; give a whole number of at least 1, or 'auto'."
        raise ValueError(msg)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cores = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if isinstance(devices, int) and on_cores and devices > cores:
        msg = f"devices is {devices}, but this machine has {cores} processor cores; give at most as many."
        raise ValueError(msg)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str | tuple | None)
