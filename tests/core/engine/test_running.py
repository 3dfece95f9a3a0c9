"""A signal ends training at the end of a step, whenever in the step it comes, and never without a checkpoint."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from scif.core import Objective, fit
from scif.core.engine import running
from scif.core.objective import LossOutput

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


class Quadratic(Objective):
    name = "quadratic"

    def forward(self, model: nn.Module, x1: Any, **_: Any) -> LossOutput:
        return LossOutput(model.weight.square().sum() * x1.mean())


class At(pl.Callback):
    """Sends SIGTERM to this process from within a hook of Lightning, which is called at a step."""

    def __init__(self, hook: str, step: int) -> None:
        self.step = step
        setattr(self, hook, self.send)

    def send(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def received() -> Iterator[list[int]]:
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: found.append(number))
    yield found
    signal.signal(signal.SIGTERM, before)


def train(folder: Path, **options: Any) -> None:
    checkpoint = running.Checkpoint(folder / "kept" / "a.ckpt", "this")
    model = nn.Linear(1, 1, bias=False)
    fit(model, Quadratic(), torch.ones(12, 1), max_steps=50, batch_size=2, checkpoint=checkpoint, **options)


def steps_kept(folder: Path) -> int:
    (path,) = (folder / "kept").iterdir()
    found = running.Checkpoint(path, "this").read()
    assert found is not None
    assert not found["scif_training"]["finished"]
    return int(found["global_step"])


@pytest.mark.parametrize("step", [1, 6, 9, 12])  # an epoch has six
@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end"])
def test_a_signal_within_a_step(hook: str, step: int, tmp_path: Path, received: list[int]) -> None:
    with pytest.warns(UserWarning, match="interrupted after [0-9]+ of 50 steps"):
        train(tmp_path, callbacks=[At(hook, step)])
    assert received == [signal.SIGTERM]
    assert steps_kept(tmp_path) == step + (hook != "on_train_batch_end")


@pytest.mark.parametrize("step", [1, 6, 9, 12])
def test_a_signal_after_the_look_whether_one_came(
    step: int, tmp_path: Path, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning ended the step, and what was learnt was lost."""
    look = running._Watch._pause

    def pause(self: Any, trainer: pl.Trainer) -> None:
        look(self, trainer)
        if trainer.global_step == step:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(running._Watch, "_pause", pause)
    with pytest.warns(UserWarning, match="interrupted after [0-9]+ of 50 steps"):
        train(tmp_path)
    assert received == [signal.SIGTERM]
    assert steps_kept(tmp_path) == step + 1


def test_a_signal_between_the_looks_whether_to_save_and_whether_to_stop(
    tmp_path: Path, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            if self.looks == 3:
                signal.raise_signal(signal.SIGTERM)
            return 0.0

    monkeypatch.setattr(running, "time", Clock())
    with pytest.warns(UserWarning, match="interrupted after [0-9]+ of 50 steps"):
        train(tmp_path)
    assert received == [signal.SIGTERM]
    assert steps_kept(tmp_path) == 4


def test_a_signal_before_the_first_step_trains_nothing(tmp_path: Path, received: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[At("on_fit_start", 0)])
    assert received == [signal.SIGTERM]
    assert not (tmp_path / "kept").exists()
