"""Minibatches of training and validation, for one process and for several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from scif.counts.data.batch import CountBatch
from scif.counts.data.datamodule import CountDataModule
from scif.counts.data.dataset import CountDataset, HeldOut
from scif.counts.data.shares import share_of
from scif.counts.objective import CountAnchor

CELLS = 30


@pytest.fixture
def dataset() -> CountDataset:
    x = np.random.default_rng(0).poisson(2.0, (CELLS, 8)).astype(np.float32)
    x[:, 0] = np.arange(CELLS) + 1  # tells the cell
    data = CountDataset(x)
    rows = np.array([3, 11, 12, 25, 28])
    counts = data.counts(rows)
    counts.data = np.floor(counts.data / 2)
    return data.with_held_out(HeldOut(rows, counts))


def module(dataset: CountDataset, rank: int, world: int, **options: Any) -> CountDataModule:
    made = CountDataModule(dataset, batch_size=4, seed=1, split=CountAnchor().split, **options)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    made.trainer = SimpleNamespace(global_rank=rank, world_size=world, strategy=strategy)  # type: ignore[assignment]
    return made


def cells_of(batches: Any) -> list[int]:
    return sorted(int(name) - 1 for batch in batches for name in batch.whole().x.dense()[:, 0])


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_validation_sees_each_cell_with_held_out_molecules_once(dataset: CountDataset, world: int) -> None:
    found = [cells_of(module(dataset, rank, world).val_dataloader()) for rank in range(world)]
    if world <= 5:
        assert sorted(sum(found, [])) == [3, 11, 12, 25, 28]
    else:  # all processes judge by all cells
        assert all(cells == [3, 11, 12, 25, 28] for cells in found)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_see_what_one_sees(dataset: CountDataset, world: int) -> None:
    one = list(module(dataset, 0, 1, each=False).train_dataloader())
    several = [list(module(dataset, rank, world, each=False).train_dataloader()) for rank in range(world)]
    for number, whole in enumerate(one):
        shares = [batches[number] for batches in several if float(batches[number].weight) > 0]
        for part in ("a", "b"):
            found = torch.cat([getattr(share.parts, part).dense() for share in shares])
            torch.testing.assert_close(found.sum(0), getattr(whole.parts, part).dense().sum(0))
        assert sum(float(share.weight) for share in shares) == pytest.approx(world)
        hidden = [float(share.parts.b.values.sum()) for share in shares]
        for share, molecules in zip(shares, hidden, strict=True):
            assert float(share.weight) == pytest.approx(world * molecules / sum(hidden))


def test_a_batch_size_of_each_process_multiplies(dataset: CountDataset) -> None:
    assert len(module(dataset, 0, 2).train_dataloader()) == 4
    assert len(module(dataset, 0, 2, each=False).train_dataloader()) == 8


def test_a_process_without_a_cell_weighs_nothing(dataset: CountDataset) -> None:
    batch: CountBatch = dataset[[4]]
    share = share_of(batch, rank=1, world=2)
    assert float(share.weight) == 0.0
    assert share.x.num_cells == 1
