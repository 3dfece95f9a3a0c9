"""Real signals to real processes: the status of a shell, and nothing that looks finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from anndata import read_h5ad

import scif

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(scif.__file__).parents[1])}

pytestmark = [pytest.mark.trains, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    path = tmp_path_factory.mktemp("signals") / "in.h5ad"
    scif.datasets.simulate_counts(1500, 300, seed=0, truth=False).write_h5ad(path)
    return path


def interrupted(counts: Path, out: Path, number: int, *options: str, wait: float = 2.0) -> tuple[int, str]:
    """Status and standard error of ``scif denoise`` that gets a signal while it trains."""
    command = [sys.executable, "-m", "scif", "denoise", str(counts), str(out), "--max-epochs", "5000", *options]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "training" in process.stdout.readline()
        time.sleep(wait)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_an_output(counts, tmp_path, number, status):
    returned, said = interrupted(counts, tmp_path / "out.h5ad", number)
    assert returned == status, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "scif denoise: interrupted; nothing was written."
    assert not list(tmp_path.iterdir())


def test_what_is_trained_so_far_is_kept_under_a_name_of_its_own(counts, tmp_path):
    for wait in (6.0, 12.0, 24.0):  # until the first epochs are over, on any machine
        returned, said = interrupted(counts, tmp_path / "out.h5ad", signal.SIGTERM, "--keep-partial", wait=wait)
        assert returned == 143, said
        if "nothing was written" not in said:
            break
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial.h5ad"]
    assert "denoised" in read_h5ad(tmp_path / "out.partial.h5ad").layers


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    source, folder = tmp_path / "in.h5ad", tmp_path / "state"
    scif.datasets.simulate_counts(200, 40, seed=0, truth=False).write_h5ad(source)
    command = [sys.executable, "-m", "scif", "denoise", str(source)]
    options = ["--max-epochs", "60", "--checkpoint", str(folder), "--json"]
    with subprocess.Popen([*command, str(tmp_path / "a.h5ad"), *options], env=ENVIRONMENT) as process:
        for _ in range(600):  # until an epoch is over
            if (folder / "last.ckpt").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.h5ad").exists()
    for name, more in (("a", options), ("b", options[:2])):  # going on, and anew
        subprocess.run([*command, str(tmp_path / f"{name}.h5ad"), *more], env=ENVIRONMENT, check=True)
    found, whole = (read_h5ad(tmp_path / f"{name}.h5ad").layers["denoised"] for name in "ab")
    assert (found == whole).all()
