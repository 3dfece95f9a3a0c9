"""Signals to processes that train on images and flows: what is learnt is kept, and a killed training goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scif
from scif.fields.fluids import FluidInverter, laminar
from scif.fields.images import ImageDenoiser

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(scif.__file__).parents[1]),
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",  # of many threads each waits for the slowest
}
SCRIPT = """
import sys, time, numpy as np, torch, lightning.pytorch as pl
from pathlib import Path
from scif.core.engine import running
kind, folder, steps, halt = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
running.EVERY = 0.0 if "kill" in sys.argv else 1e9
class Tell(pl.Callback):
    def on_train_start(self, *_): print("training", flush=True)
    def on_train_batch_end(self, trainer, *_):
        print(trainer.global_step, flush=True)
        if trainer.global_step == halt: time.sleep(300)
told = dict(max_steps=steps, batch_size=2, callbacks=[Tell()], accelerator="cpu", checkpoint_dir=folder / "kept")
if kind == "images":
    from scif.core.noise import Gaussian
    from scif.fields.images import ImageDenoiser
    x = (100 + 10 * np.random.default_rng(0).normal(size=(12, 32, 32))).astype("f4")
    model = ImageDenoiser(Gaussian(10.0), widths=(4, 8), num_steps=2).fit(x, patch=16, **told)
    result = model.denoise(x)
else:
    from scif.fields.fluids import FluidInverter, laminar
    case = laminar(cutoff=4, sigma=0.05)
    x = case.draw(24, 16, generator=torch.Generator().manual_seed(0)).final
    model = FluidInverter(case.channel, width=4, depth=1, modes=4).fit(x, **told)
    told["max_steps"] = 6
    model.fit_spread(x, rounds=1, **told)
    result = model.invert(x, return_std=True)
torch.save({"result": result, "history": model.history_}, folder / "result")
print("done", flush=True)
"""

pytestmark = [pytest.mark.trains, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]


def start(kind: str, folder: Path, *, steps: int, halt: int = -1, often: bool = False) -> subprocess.Popen[str]:
    """A process that trains; it sleeps at the end of the step ``halt``, and saves after every step if ``often``."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-W", "always", "-c", SCRIPT, kind, str(folder), str(steps), str(halt)]
    words += ["kill"] * often
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], line: str) -> None:
    """Read what a process says until a line."""
    assert process.stdout is not None
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(process.communicate()[1])


def whole(kind: str, folder: Path, steps: int) -> dict[str, Any]:
    """What a process ends with that nothing interrupts."""
    process = start(kind, folder, steps=steps)
    assert process.communicate(timeout=300)[0].endswith("done\n")
    return result(folder)


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "result", weights_only=False)
    return found


def equal(a: Any, b: Any) -> bool:
    return all(
        np.array_equal(np.asarray(x), np.asarray(y))
        for x, y in zip(a if isinstance(a, tuple) else (a,), b if isinstance(b, tuple) else (b,), strict=True)
    )


@pytest.mark.parametrize("kind", ["images", "fluids"])
def test_a_killed_training_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    expected = whole(kind, tmp_path / "whole", 23)
    process = start(kind, tmp_path / "killed", steps=23, halt=8, often=True)
    until(process, "8")
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "result").exists()
    again = start(kind, tmp_path / "killed", steps=23)
    said, errors = again.communicate(timeout=300)
    assert said.endswith("done\n"), errors
    assert said.splitlines()[1] == "8"  # not from the beginning: seven steps had been saved
    found = result(tmp_path / "killed")
    assert equal(found["result"], expected["result"])
    assert found["history"] == expected["history"]


@pytest.mark.parametrize("kind", ["images", pytest.param("fluids", marks=pytest.mark.slow)])
def test_sigterm_writes_a_checkpoint_first(kind: str, tmp_path: Path) -> None:
    process = start(kind, tmp_path, steps=5000)
    until(process, "3")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM  # 143 in a shell
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".ckpt"]
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize("kind", ["images", pytest.param("fluids", marks=pytest.mark.slow)])
def test_the_first_ctrl_c_ends_training_and_keeps_the_network(kind: str, tmp_path: Path) -> None:
    process = start(kind, tmp_path, steps=100_000)
    until(process, "7")
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said.endswith("done\n")
    assert "of 100000 steps; the current network is" in errors.replace("100_000", "100000")
    found = result(tmp_path)["result"]
    assert all(np.isfinite(np.asarray(one)).all() for one in (found if isinstance(found, tuple) else (found,)))


def test_the_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    process = start("images", tmp_path, steps=100_000, halt=1)
    until(process, "1")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=25)
    assert (process.returncode, said.splitlines()[-1]) == (0, "done"), errors
    assert "interrupted after 1 of" in errors


def test_another_training_and_other_files_are_refused(tmp_path: Path) -> None:
    case = laminar(cutoff=4)
    x = case.draw(8, 16, generator=torch.Generator().manual_seed(0)).final
    inverter = FluidInverter(case.channel, width=4, depth=1, modes=4)
    told = {"max_steps": 2, "batch_size": 2, "checkpoint_dir": tmp_path}
    first = inverter.fit(x, **told).invert(x)
    assert torch.equal(inverter.fit(x, **told).invert(x), first)  # finished: taken up as it was
    for other, options in ((2 * x, told), (x, told | {"max_steps": 3})):
        with pytest.raises(ValueError, match="checkpoint of another training.*checkpoint_dir"):
            inverter.fit(other, **options)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        inverter.fit(x, **told)
    mark = tmp_path / "ran"
    torch.save({"scif_training": _Hostile(mark)}, path)
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        inverter.fit(x, **told)
    assert not mark.exists()


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_channels_without_a_network_of_their_own_are_not_kept(tmp_path: Path) -> None:
    import lightning.pytorch as pl

    class Stop(pl.Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    x = (100 + 10 * np.random.default_rng(0).normal(size=(4, 2, 32, 32))).astype("f4")
    denoiser = ImageDenoiser(scif.core.noise.Gaussian(10.0), channels="apart", widths=(4, 8), num_steps=2)
    with pytest.raises(KeyboardInterrupt, match="1 of 2 networks"), pytest.warns(UserWarning, match="interrupted"):
        denoiser.fit(x, axes="TCYX", max_steps=50, batch_size=2, patch=16, callbacks=[Stop()])
    with pytest.raises(RuntimeError, match="not been fitted"):
        denoiser.denoise(x, axes="TCYX")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
