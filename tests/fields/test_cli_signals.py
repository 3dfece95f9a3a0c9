"""Signals to ``scif image denoise`` and ``scif fluid invert``: the status of a shell, a checkpoint, no result."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import tifffile

from scif.cli import main
from scif.core.engine import running

IMAGE = ["image", "denoise", "a.tif", "--sigma", "10", "--patch", "16", "--widths", "4,8", "--batch-size", "2"]
FLUID = ["fluid", "invert", "a.nc", "out.nc", "--viscosity", "0.05", "--duration", "1", "--width", "4"]

pytestmark = [pytest.mark.trains, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).normal(100, 10, (64, 64)).astype("f4")
    tifffile.imwrite(tmp_path / "a.tif", image, metadata={"axes": "YX"})
    assert main(["fluid", "simulate", "a.nc", "--fields", "24", "--size", "16"]) == 0
    return tmp_path


@pytest.mark.parametrize(
    ("words", "number", "status"), [(IMAGE, signal.SIGTERM, 143), (FLUID, signal.SIGINT, 130)], ids=["image", "fluid"]
)
def test_a_signal_ends_it_with_a_checkpoint_and_without_a_result(
    words: list[str],
    number: int,
    status: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The signal comes in the third step: a process of its own, and what it waits for, is in ``tests/cli``."""

    def send(self: Any, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(running._Watch, "on_train_batch_start", send)
    before = sorted(path.name for path in folder.iterdir())
    assert main([*words, "--checkpoint", "kept", "--max-steps", "50"]) == status
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == f"scif {words[0]}: interrupted; nothing was written."
    assert sorted(path.name for path in folder.iterdir()) == [*before, "kept"]
    assert [path.suffix for path in (folder / "kept").iterdir()] == [".ckpt"]


@pytest.mark.parametrize("words", [IMAGE, FLUID], ids=["image", "fluid"])
def test_a_finished_training_is_taken_up(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [*words, "--checkpoint", "kept", "--max-steps", "3"]
    results = []
    for _ in range(2):
        assert main(told) == 0
        (out,) = (path for path in folder.iterdir() if path.name in ("a_denoised.tif", "out.nc"))
        results.append(tifffile.imread(out) if out.suffix == ".tif" else out.stat().st_size)
        out.unlink()
    np.testing.assert_array_equal(*results)
    capsys.readouterr()
    assert main([*words, "--checkpoint", "kept", "--max-steps", "4"]) == 2
    assert "another training" in capsys.readouterr().err
