"""A training that is killed goes on from its checkpoint, and ends as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

import scif
from scif.model import ICM

CODE = """
import os, signal, sys, warnings
import numpy as np, scif
from lightning.pytorch.callbacks import Callback

class Kill(Callback):
    def on_train_epoch_start(self, trainer, plan):
        if trainer.current_epoch == 4:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))

adata = scif.datasets.simulate_counts(150, 60, n_batches=2, seed=0)
scif.model.ICM.setup_anndata(adata, batch_key="batch")
model = scif.model.ICM(adata, dropout_rate=0.1)
folder = sys.argv[1] if sys.argv[1] != "none" else None
model.train(
    max_epochs=7, enable_progress_bar=False, checkpoint_dir=folder, callbacks=[Kill()] if sys.argv[3] != "none" else []
)
np.save(sys.argv[2], model.get_denoised())
print(len(model.history["train_loss"]))
"""


def run(folder: Path | None, out: Path, kill: str = "none") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(folder or "none"), str(out), kill]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, str]:
    """Result and output of a training that nothing stops."""
    out = tmp_path_factory.mktemp("whole") / "whole.npy"
    done = run(None, out)
    assert done.returncode == 0, done.stderr
    return np.load(out), done.stdout


@pytest.mark.trains
@pytest.mark.parametrize("kill", ["SIGKILL", "SIGTERM"])
def test_a_killed_training_goes_on_bit_equal(tmp_path: Path, whole: tuple[np.ndarray, str], kill: str) -> None:
    killed = run(tmp_path / "checkpoints", tmp_path / "resumed.npy", kill)
    assert killed.returncode != 0
    assert killed.returncode == -signal.SIGKILL or kill == "SIGTERM"
    assert not (tmp_path / "resumed.npy").exists()
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    resumed = run(tmp_path / "checkpoints", tmp_path / "resumed.npy")
    assert resumed.returncode == 0, resumed.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "resumed.npy"), whole[0])
    assert resumed.stdout == whole[1]  # epochs in the learning curves
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


class Fail(Callback):
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 4:
            msg = "no space left"
            raise OSError(msg)


@pytest.mark.trains
@pytest.mark.parametrize(
    "options",
    [{}, {"early_stopping": False}, {"anchor_weight": 0.0, "num_steps": 3}, {"consistency": "both"}],
    ids=["default", "nothing held out", "gradient", "both"],
)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_all_ways_of_training_go_on_bit_equal(tmp_path: Path, options: dict[str, Any], dropout: float) -> None:
    adata = scif.datasets.simulate_counts(150, 60, seed=0)

    def trained(folder: Path | None, *callbacks: Callback) -> ICM:
        ICM.setup_anndata(adata)
        model = ICM(adata, dropout_rate=dropout)
        model.train(
            max_epochs=6,
            enable_progress_bar=False,
            checkpoint_dir=None if folder is None else str(folder),
            callbacks=list(callbacks),
            **options,
        )
        return model

    whole = trained(None)
    with pytest.raises(OSError, match="no space left"):
        trained(tmp_path, Fail())
    resumed = trained(tmp_path)
    for kind in ("mean", "transport"):
        np.testing.assert_array_equal(resumed.get_denoised(estimator=kind), whole.get_denoised(estimator=kind))
    for name, curve in whole.history.items():
        np.testing.assert_array_equal(resumed.history[name], curve, err_msg=name)


@pytest.mark.parametrize("what", ["counts", "options", "code", "cut"])
def test_a_checkpoint_of_another_training_or_with_code_is_refused(tmp_path: Path, what: str) -> None:
    def train(seed: int, *callbacks: Callback, max_epochs: int = 6) -> None:
        adata = scif.datasets.simulate_counts(40, 15, seed=seed)
        ICM.setup_anndata(adata)
        model = ICM(adata, n_latent=2, n_hidden=8)
        model.train(
            max_epochs=max_epochs, enable_progress_bar=False, checkpoint_dir=str(tmp_path), callbacks=list(callbacks)
        )

    with pytest.raises(OSError, match="no space left"):
        train(0, Fail())
    file = tmp_path / "last.ckpt"
    torch.load(file, weights_only=True)  # numbers and text alone
    if what == "code":
        torch.save({"scif_training": _Runs(tmp_path / "ran")}, file)
    if what == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    message = "other data or arguments" if what in ("counts", "options") else "damaged or not a checkpoint"
    with pytest.raises(ValueError, match=message):
        train(1 if what == "counts" else 0, max_epochs=7 if what == "options" else 6)
    assert file.exists()
    assert not (tmp_path / "ran").exists()


class _Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "ran")
