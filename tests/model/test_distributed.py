"""Blocks of cells on several workers: nothing is lost and nothing is there twice, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import scif
from scif.metrics import poisson_nll
from scif.model import ICM, denoise_distributed

distributed = pytest.importorskip("distributed")
pytest.importorskip("xarray")
pytestmark = [pytest.mark.trains, pytest.mark.filterwarnings("ignore")]

CELLS, GENES, BLOCK = 400, 40, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, its counts with molecules that were held out, and what it gives in one process."""
    here = tmp_path_factory.mktemp("distributed")
    data = scif.datasets.simulate_counts(CELLS, GENES, n_batches=2, seed=0, truth=False)
    split = scif.metrics.split_counts(data.X, seed=0)
    whole = ad.AnnData(split.train, obs=data.obs, var=data.var, layers={"test": split.test, "train": split.train})
    whole = whole[np.asarray(split.train.sum(1)).ravel() > 0].copy()
    whole.write_zarr(here / "counts.zarr")
    whole.write_h5ad(here / "counts.h5ad")
    ICM.setup_anndata(whole, layer="train", batch_key="batch")
    model = ICM(whole)
    model.train(max_epochs=1, enable_progress_bar=False)
    model.save(here / "model")
    np.save(here / "wanted.npy", model.get_denoised(batch_size=BLOCK))
    return here


@pytest.fixture(scope="module")
def client():
    """Two processes, of which one may be killed."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def run(folder: Path, target: Path, client, *, counts: str = "counts.zarr", **options):
    return denoise_distributed(
        folder / "model", folder / counts, target, client=client, block_cells=BLOCK, held_out="test", **options
    )


def check(folder: Path, target: Path, table) -> None:
    wanted = np.load(folder / "wanted.npy")
    found, counts = ad.read_zarr(target), ad.read_h5ad(folder / "counts.h5ad")
    np.testing.assert_array_equal(found.layers["denoised"], wanted)
    assert list(found.obs_names) == list(counts.obs_names)
    assert list(found.var_names) == list(counts.var_names)
    assert table["start"].tolist() == list(range(0, len(wanted), BLOCK))
    assert table["cells"].sum() == len(wanted)
    assert table["counts"].sum() == counts.layers["train"].sum()
    loss = np.average(table["poisson_nll"], weights=table["cells"])
    np.testing.assert_allclose(loss, poisson_nll(wanted, counts.layers["test"]), rtol=1e-6)
    assert not target.with_name(f"{target.name}.parts").exists()


def test_a_worker_that_is_killed_midway_loses_nothing(folder, client, tmp_path):
    target, killed = tmp_path / "denoised.zarr", []
    blocks = tmp_path / "denoised.zarr.parts" / "blocks"

    def kill() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and len(list(blocks.glob("*.json"))) < 3:
            time.sleep(0.01)
        killed.append(len(list(blocks.glob("*.json"))))
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    client.run(os.getpid)  # both are there
    killer = threading.Thread(target=kill)
    killer.start()
    table = run(folder, target, client)
    killer.join()
    assert 3 <= killed[0] < CELLS // BLOCK  # midway
    check(folder, target, table)
    with pytest.raises(ValueError, match=r"exists already.*overwrite=True"):
        run(folder, target, client)


def test_a_stopped_run_goes_on_and_computes_nothing_again(folder, client, tmp_path, monkeypatch):
    target = tmp_path / "denoised.zarr"
    parts = tmp_path / "denoised.zarr.parts"
    monkeypatch.setattr(distributed, "as_completed", lambda futures: stop_after(parts / "blocks", 4))
    with pytest.raises(KeyboardInterrupt):
        run(folder, target, client, counts="counts.h5ad")
    monkeypatch.undo()
    assert not target.exists()
    time.sleep(1.0)  # what was running ends
    before = {path.name: path.stat().st_mtime_ns for path in (parts / "blocks").iterdir()}
    assert 4 <= len(before) < CELLS // BLOCK
    with pytest.raises(ValueError, match="finished rows of another run: estimator"):
        run(folder, target, client, counts="counts.h5ad", estimator="transport")
    seen: dict[str, int] = {}
    monkeypatch.setattr(Path, "replace", noting(seen, Path.replace))
    table = run(folder, target, client, counts="counts.h5ad")
    assert {name: seen[name] for name in before} == before
    check(folder, target, table)


def stop_after(blocks: Path, least: int):
    while len(list(blocks.glob("*.json"))) < least:
        time.sleep(0.01)
    raise KeyboardInterrupt
    yield


def noting(seen: dict[str, int], replace):
    """``Path.replace`` that notes when blocks were written, as the store goes to its place."""

    def noted(self: Path, target: Path) -> Path:
        if self.name == "whole.zarr":
            seen.update({path.name: path.stat().st_mtime_ns for path in (self.parent / "blocks").iterdir()})
        return replace(self, target)

    return noted


def test_what_is_wrong_is_said_before_anything_is_computed(folder, tmp_path):
    for target, said in (
        (tmp_path / "x.h5ad", "does not end in .zarr"),
        (tmp_path / "no" / "x.zarr", "create it first"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            run(folder, target, None)
    with pytest.raises(ValueError, match="choose 'mean' or 'transport'"):
        run(folder, tmp_path / "x.zarr", None, estimator="sample")
    assert not list(tmp_path.iterdir())
