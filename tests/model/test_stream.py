"""Layers in files: the same values, in bounded memory, and nothing lost or half done."""

from __future__ import annotations

import signal
import subprocess
import sys

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

import scif
from scif.model import ICM
from scif.model.stream import mixin, parts


@pytest.fixture(scope="module")
def adata():
    return scif.datasets.simulate_counts(60, 40, seed=0)


@pytest.fixture(scope="module")
def model(adata):
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def denoised(model):
    return model.get_denoised()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Minibatches of three cells, files of six rows."""
    monkeypatch.setattr(mixin, "ENTRIES", 120)
    monkeypatch.setattr(mixin, "BATCHES", 2)


def read(path):
    return ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_a_file_has_the_layer_and_says_what_was_done(adata, model, denoised, tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    model.denoise_to(path, silent=True)
    found = read(path)
    np.testing.assert_allclose(found.layers["denoised"], denoised, rtol=3e-5, atol=1e-6)
    assert list(found.obs_names) == list(adata.obs_names)
    assert list(found.var_names) == list(adata.var_names)
    assert not [name for name in found.obs if name.startswith("_scvi")]
    assert (found.uns["scif"]["key_added"], found.uns["scif"]["scale"]) == ("denoised", "counts")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_small_values_are_dropped_and_it_is_said(model, denoised, tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    model.denoise_to(path, threshold=0.5, library_size="latent", silent=True)
    found = read(path)
    layer = found.layers["denoised"]
    assert sparse.issparse(layer)
    assert layer.data.min() >= 0.5
    np.testing.assert_allclose(layer.toarray(), np.where(denoised >= 0.5, denoised, 0), rtol=3e-5, atol=1e-6)
    assert found.uns["scif"]["threshold"] == 0.5
    raw = h5py.File(path) if ending == "h5ad" else zarr.open_group(path, mode="r")
    assert raw["layers/denoised"].attrs["threshold"] == 0.5


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_a_layer_is_added_to_a_file(adata, model, denoised, tmp_path, threshold):
    adata.write_h5ad(tmp_path / "in.h5ad")
    adata.write_zarr(tmp_path / "in.zarr")
    with h5py.File(tmp_path / "in.h5ad", "r+") as file:
        model.denoise_to(file, threshold=threshold, silent=True)
        with pytest.raises(ValueError, match="already"):
            model.denoise_to(file, silent=True)
        model.denoise_to(file, threshold=threshold, overwrite=True, silent=True)
    model.denoise_to(zarr.open_group(tmp_path / "in.zarr", mode="r+"), threshold=threshold, silent=True)
    for path in tmp_path.iterdir():
        found = read(path)
        layer = found.layers["denoised"]
        layer = layer.toarray() if sparse.issparse(layer) else layer
        np.testing.assert_allclose(layer, np.where(denoised >= (threshold or 0), denoised, 0), rtol=3e-5, atol=1e-6)
        assert (found.X != adata.X).nnz == 0
    assert {p.name for p in tmp_path.iterdir()} == {"in.h5ad", "in.zarr"}


def stop_after(monkeypatch, count):
    """Make the disk fail at a part."""
    add, done = parts.Parts.add, []

    def failing(self, start, values):
        if len(done) == count:
            raise OSError("disk full")
        done.append(start)
        add(self, start, values)

    monkeypatch.setattr(parts.Parts, "add", failing)


def test_what_is_finished_is_not_computed_again(model, tmp_path, monkeypatch):
    path, whole = tmp_path / "out.h5ad", tmp_path / "whole.h5ad"
    model.denoise_to(whole, silent=True)
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(OSError, match="disk full"):
            model.denoise_to(path, silent=True)
    assert not path.exists()
    asked = []
    get = ICM.get_denoised
    monkeypatch.setattr(ICM, "get_denoised", lambda self, *a, **k: asked.append(a[1]) or get(self, *a, **k))
    model.denoise_to(path, silent=True)
    np.testing.assert_array_equal(asked[0], np.arange(24, 60))
    np.testing.assert_array_equal(read(path).layers["denoised"], read(whole).layers["denoised"])
    assert not (tmp_path / "out.h5ad.parts").exists()


@pytest.mark.parametrize("threshold", [None, 0.01])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_damaged_rows_are_computed_again(model, tmp_path, monkeypatch, damage, threshold):
    path, whole = tmp_path / "out.h5ad", tmp_path / "whole.h5ad"
    model.denoise_to(whole, threshold=threshold, silent=True)
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(OSError, match="disk full"):
            model.denoise_to(path, threshold=threshold, silent=True)
    second = sorted((tmp_path / "out.h5ad.parts").glob("rows-*"))[1]
    content = bytearray(second.read_bytes())
    content[-5] ^= 255
    if damage == "missing":
        second.unlink()
    else:
        second.write_bytes(content if damage == "flipped" else content[:100])
    with pytest.warns(UserWarning, match="rows from 6 on are computed again"):
        model.denoise_to(path, threshold=threshold, silent=True)
    for name in ("data", "indices") if threshold else ():
        np.testing.assert_array_equal(*(getattr(read(one).layers["denoised"], name) for one in (path, whole)))
    if threshold is None:
        np.testing.assert_array_equal(read(path).layers["denoised"], read(whole).layers["denoised"])


def test_finished_rows_of_nobody_knows_what_are_refused(model, tmp_path, monkeypatch):
    path = tmp_path / "out.h5ad"
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(OSError, match="disk full"):
            model.denoise_to(path, silent=True)
    (tmp_path / "out.h5ad.parts" / "task.json").write_text("{")
    with pytest.raises(ValueError, match="resume=False"):
        model.denoise_to(path, silent=True)
    model.denoise_to(path, resume=False, silent=True)


@pytest.mark.parametrize("threshold", ["0.1", True, -1, float("nan")])
def test_thresholds_that_are_none_are_refused(model, tmp_path, threshold):
    with pytest.raises(ValueError, match="threshold is"):
        model.denoise_to(tmp_path / "out.h5ad", threshold=threshold, silent=True)


def test_a_folder_in_place_of_a_file_is_refused_at_once(model, tmp_path):
    (tmp_path / "out.h5ad").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        model.denoise_to(tmp_path / "out.h5ad", overwrite=True, silent=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5ad"]


def test_rows_of_another_run_are_never_mixed_in(adata, model, tmp_path, monkeypatch):
    path = tmp_path / "out.h5ad"
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(OSError, match="disk full"):
            model.denoise_to(path, silent=True)
    with pytest.raises(ValueError, match=r"scale was 'counts', is '100 per cell'.*resume=False"):
        model.denoise_to(path, library_size=100.0, silent=True)
    other = adata.copy()
    other.X[0, 0] += 1
    with pytest.raises(ValueError, match="counts was"):
        model.denoise_to(path, other, silent=True)
    model.denoise_to(path, library_size=100.0, resume=False, silent=True)
    np.testing.assert_allclose(read(path).layers["denoised"].sum(1), 100, rtol=1e-4)


def test_what_is_wrong_is_told_and_nothing_written(adata, model, tmp_path):
    (tmp_path / "there.h5ad").write_bytes(b"precious")
    adata[::-1].copy().write_h5ad(tmp_path / "other.h5ad")
    before = sorted(p.name for p in tmp_path.iterdir())
    for target, arguments, said in (
        ("out.csv", {}, "neither .h5ad nor .zarr"),
        ("there.h5ad", {}, "exists already"),
        ("out.h5ad", {"layer": "X"}, "layer is 'X'"),
        ("out.h5ad", {"threshold": -1.0}, "threshold"),
        ("out.h5ad", {"estimator": "sample"}, "get_denoised"),
    ):
        with pytest.raises(ValueError, match=said):
            model.denoise_to(tmp_path / target, silent=True, **arguments)
    with pytest.raises(FileNotFoundError, match="create it first"):
        model.denoise_to(tmp_path / "absent" / "out.h5ad")
    with h5py.File(tmp_path / "other.h5ad", "r+") as file, pytest.raises(ValueError, match="order differs at 0"):
        model.denoise_to(file)
    with h5py.File(tmp_path / "other.h5ad", "r") as file, pytest.raises(ValueError, match="open for reading"):
        model.denoise_to(file)
    with pytest.raises(TypeError, match="ndarray"):
        model.denoise_to(np.empty(3))
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "there.h5ad").read_bytes() == b"precious"


KILLED = """
import os, signal, sys
import scif
from scif.model.stream import mixin, parts
mixin.ENTRIES, mixin.BATCHES = 120, 2
adata = scif.datasets.simulate_counts(60, 40, seed=0)
scif.model.ICM.setup_anndata(adata)
model = scif.model.ICM(adata)
model.train(max_epochs=2, enable_progress_bar=False)
add = parts.Parts.add
def killed(self, start, values):
    if start == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, start, values)
parts.Parts.add = killed
model.denoise_to(sys.argv[1], silent=True)
"""


@pytest.mark.trains
def test_a_run_that_was_killed_goes_on(model, denoised, tmp_path):
    path = tmp_path / "out.h5ad"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not path.exists()
    assert len(list((tmp_path / "out.h5ad.parts").glob("rows-*.npy"))) == 5
    model.denoise_to(path, silent=True)  # the same weights, since training is reproducible
    np.testing.assert_allclose(read(path).layers["denoised"], denoised, rtol=3e-5, atol=1e-6)
