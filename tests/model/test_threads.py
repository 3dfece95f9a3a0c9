"""What runs in threads beside the main one gives what it would give there, however many there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from scif.counts.data.datamodule import CountDataModule
from scif.counts.data.prefetch import ahead
from scif.counts.statistics.eigen import eigen
from scif.datasets import simulate_counts
from scif.model import ICM
from scif.parallel import cores


@pytest.mark.parametrize(("n", "k"), [(0, 4), (1, 3), (7, 200), (1001, 20)])
def test_matrices_are_decomposed_alike_on_several_threads(threads: int, n: int, k: int) -> None:
    matrices = torch.randn(n, k, k, generator=torch.Generator().manual_seed(0))
    matrices = matrices @ matrices.mT
    with cores():
        values, vectors = eigen(matrices)
    if k < 100:  # larger ones are in blocks, which depend on the threads
        assert torch.equal(vectors, torch.linalg.eigh(matrices)[1])
    scale = float(matrices.abs().max()) if n else 1.0
    torch.testing.assert_close((vectors * values[:, None]) @ vectors.mT, matrices, rtol=0, atol=1e-4 * scale)
    assert torch.get_num_threads() == threads


def test_an_error_leaves_the_number_of_threads(threads: int) -> None:
    bad = torch.full((1001, 20, 20), torch.nan)
    with pytest.raises(torch.linalg.LinAlgError), cores():
        eigen(bad)
    assert torch.get_num_threads() == threads


@pytest.mark.trains
def test_numbers_do_not_depend_on_how_many_threads_there_are(threads: int) -> None:
    adata = simulate_counts(300, 4000, depth=2000, truth=False, seed=0)  # wide enough for a minibatch in pieces
    ICM.setup_anndata(adata)
    found = []
    for count in (1, 2, threads):
        torch.set_num_threads(count)
        model = ICM(adata)
        model.train(max_epochs=4, enable_progress_bar=False)
        every = (model.get_denoised(), model.get_denoised(estimator="transport"), model.get_cell_scale().to_numpy())
        found.append(every)
        assert torch.get_num_threads() == count
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.trains
def test_counts_split_ahead_are_those_that_the_anchor_would_split(monkeypatch: pytest.MonkeyPatch) -> None:
    adata = simulate_counts(150, 60, depth=400, truth=False, seed=0)
    ICM.setup_anndata(adata)
    found = []
    for split_ahead in (True, False):
        if not split_ahead:
            monkeypatch.setattr(CountDataModule, "_splitter", lambda self: None)
        model = ICM(adata)
        model.train(max_epochs=4, enable_progress_bar=False)
        found.append(model.get_denoised())
    np.testing.assert_array_equal(*found)


def test_items_are_made_in_order_and_one_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(6):
            made.append((i, threading.current_thread() is threading.main_thread()))
            yield i

    for i in ahead(items()):
        assert i <= len(made) - 1 <= i + 1
    assert made == [(i, False) for i in range(6)]


def test_an_error_of_an_item_comes_after_the_items_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)


def test_no_thread_is_left_of_items_that_nobody_wants() -> None:
    before = threading.active_count()
    found = ahead(iter(range(100)))
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before
