"""A training that is killed goes on from its checkpoint, and ends as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CODE = """
import os, signal, sys, warnings
import numpy as np, scif
from lightning.pytorch.callbacks import Callback

class Kill(Callback):
    def on_train_epoch_start(self, trainer, plan):
        if trainer.current_epoch == 4:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))

adata = scif.datasets.simulate_counts(150, 60, seed=0)
scif.model.ICM.setup_anndata(adata)
model = scif.model.ICM(adata)
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


@pytest.mark.trains
@pytest.mark.parametrize("kill", ["SIGKILL", "SIGTERM"])
def test_a_killed_training_goes_on_bit_equal(tmp_path: Path, kill: str) -> None:
    whole = run(None, tmp_path / "whole.npy")
    assert whole.returncode == 0, whole.stderr
    killed = run(tmp_path / "checkpoints", tmp_path / "resumed.npy", kill)
    assert killed.returncode != 0
    assert killed.returncode == -signal.SIGKILL or kill == "SIGTERM"
    assert not (tmp_path / "resumed.npy").exists()
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    resumed = run(tmp_path / "checkpoints", tmp_path / "resumed.npy")
    assert resumed.returncode == 0, resumed.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "resumed.npy"), np.load(tmp_path / "whole.npy"))
    assert resumed.stdout == whole.stdout  # epochs in the learning curves
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
