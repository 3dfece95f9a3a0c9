"""Counts on disk: the same rows as in memory, read as seldom as needed."""

from __future__ import annotations

from collections import Counter

import anndata as ad
import dask.array as da
import numpy as np
import pytest
import torch
from scipy import sparse

import scif
from scif.counts.data import stored as _stored
from scif.counts.data.stored import NeighbouringBatches, StoredCounts, by_rows
from scif.model import ICM

COUNTS = sparse.csr_matrix(np.random.default_rng(0).poisson(0.7, (700, 9)).astype(np.float32))


class Watched:
    """A matrix that counts how often its rows are read."""

    shape = COUNTS.shape

    def __init__(self) -> None:
        self.read: Counter[int] = Counter()
        self.calls = 0

    def __getitem__(self, rows: slice) -> sparse.csr_matrix:
        self.read.update(range(*rows.indices(self.shape[0])))
        self.calls += 1
        return COUNTS[rows]


def lazy(x: sparse.csr_matrix, rows: int = 100) -> da.Array:
    return da.from_array(x.toarray(), chunks=(rows, x.shape[1])).map_blocks(sparse.csr_matrix)


@pytest.fixture(params=["csr", "csc", "dense", "dask", "dask dense"])
def stored(request, tmp_path):
    if request.param.startswith("dask"):
        return by_rows(lazy(COUNTS) if request.param == "dask" else da.from_array(COUNTS.toarray(), chunks=(64, 4)))
    layout = {"csr": COUNTS, "csc": COUNTS.tocsc(), "dense": COUNTS.toarray()}[request.param]
    ad.AnnData(layout).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    return by_rows(ad.read_h5ad(tmp_path / "x.h5ad", backed="r").X)


@pytest.mark.parametrize("held", [None, [5, 699, 0, 5, 310, 42]])
def test_rows_are_those_in_memory_in_any_order(stored, held):
    if held is not None and isinstance(stored, StoredCounts):
        stored.hold("some", np.array(held))
    for rows in ([699, 5, 0, 5], [42], [], np.arange(700)[::-1], np.arange(3, 400, 7)):
        index = np.asarray(rows, dtype=np.int64)
        assert (sparse.csr_matrix(stored[index]) != COUNTS[index]).nnz == 0
    assert (sparse.csr_matrix(stored[690:800]) != COUNTS[690:]).nnz == 0


def test_what_is_held_is_read_once():
    data = Watched()
    stored = StoredCounts(data)
    stored.hold("a", np.array([3, 600, 3]))
    before = Counter(data.read)
    assert (stored[np.array([600, 3, 600])] != COUNTS[[600, 3, 600]]).nnz == 0
    assert data.read == before
    stored.release()
    stored[np.array([3])]
    assert data.read[3] == before[3] + 1


def test_neighbours_are_read_together_and_never_too_many(monkeypatch):
    monkeypatch.setattr(_stored, "GAP", 10)
    monkeypatch.setattr(_stored, "MOST", 100)
    data = Watched()
    StoredCounts(data)[np.array([0, 8, 16, 99, 100, 101, 300])]
    assert data.calls == 4  # 0 to 16, 99, 100 to 101, 300: one ends at a hundred
    assert sum(data.read.values()) == 17 + 1 + 2 + 1


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
def test_every_cell_comes_once_and_from_memory(monkeypatch, batch_size):
    monkeypatch.setattr(_stored, "STRETCH", 16)
    monkeypatch.setattr(_stored, "MIXED", 128)
    monkeypatch.setattr(_stored, "GAP", 16)
    data = Watched()
    stored = StoredCounts(data)
    batches = NeighbouringBatches(stored, batch_size=batch_size, generator=torch.Generator().manual_seed(1))
    epochs = []
    for _ in range(2):
        rows = []
        for batch in batches:
            assert (stored[np.array(batch)] != COUNTS[batch]).nnz == 0
            rows.append(batch)
        assert [len(r) for r in rows[:-1]] == [batch_size] * (len(batches) - 1)
        epochs.append(sum(rows, []))
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(700))
    assert epochs[0] != epochs[1]
    assert max(data.read.values()) <= 2  # once an epoch at most, though one mixing leaves some to the next
    again = NeighbouringBatches(stored, batch_size=batch_size, generator=torch.Generator().manual_seed(1))
    assert sum(again, []) == epochs[0]


@pytest.mark.trains
def test_training_from_disk_by_neighbours_is_as_good(tmp_path, monkeypatch):
    """Cells sorted by type, as files often are: mixing must undo it."""
    data = scif.datasets.simulate_counts(600, 80, n_types=4, depth=400.0, seed=0)
    data = data[np.argsort(data.obs["cell_type"].to_numpy(), kind="stable")].copy()
    ad.AnnData(data.X).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    scores, denoised = {}, {}
    for where in ("memory", "disk"):
        if where == "disk":
            monkeypatch.setattr(_stored, "STRETCH", 8)
            monkeypatch.setattr(_stored, "MIXED", 128)
            monkeypatch.setattr("scif.counts.data.dataset.MIXED", 128)
        counts = ad.read_h5ad(tmp_path / "x.h5ad", backed="r" if where == "disk" else None)
        ICM.setup_anndata(counts)
        model = ICM(counts)
        model.train(max_epochs=20, enable_progress_bar=False)
        denoised[where] = model.get_denoised()
        scores[where] = scif.metrics.composition_error(denoised[where], data.layers["truth"]).mean()
        np.testing.assert_allclose(denoised[where].sum(1), data.X.sum(1).A1, rtol=1e-4)
    assert not np.array_equal(denoised["memory"], denoised["disk"])  # the order differs
    assert scores["disk"] <= 1.02 * scores["memory"]


def test_nothing_is_held_after_training(tmp_path):
    data = scif.datasets.simulate_counts(150, 40, seed=0)
    data.write_h5ad(tmp_path / "x.h5ad")
    data = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    ICM.setup_anndata(data)
    model = ICM(data)
    model.train(max_epochs=1, enable_progress_bar=False)
    assert not model.trainer.datamodule.dataset.data._held


def test_columns_on_disk_are_warned_of(tmp_path):
    ad.AnnData(COUNTS[:, :5].tocsc() + sparse.csc_matrix(np.ones((700, 5)))).write_h5ad(tmp_path / "x.h5ad")
    with pytest.warns(UserWarning, match="csr_matrix"):
        ICM.setup_anndata(ad.read_h5ad(tmp_path / "x.h5ad", backed="r"))


def test_bad_values_on_disk_are_named():
    x = COUNTS + sparse.csr_matrix(np.ones(COUNTS.shape, dtype=np.float32))
    x[655, 2] = -1
    data = ad.AnnData(lazy(x))
    with pytest.raises(ValueError, match="cell '655', gene '2'"):
        ICM.setup_anndata(data)
