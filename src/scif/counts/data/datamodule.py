"""All cells for training, and held-out molecules for validation, as Lightning asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from scif.counts.data.batch import CountBatch, cached_cells
from scif.counts.data.dataset import CountDataset
from scif.counts.data.shares import share_of
from scif.counts.data.sparse_counts import SparseCounts, Thinned

__all__ = ["CountDataModule"]


class CountDataModule(pl.LightningDataModule):
    """All cells for training; for validation the molecules held out of some of them.

    Parameters
    ----------
    dataset
        With its held-out molecules.
    batch_size
        Cells per minibatch.
    each
        Whether that is for each process; if not it is shared out among them.
    seed
        Of the order of the cells, and of how they are split.
    split
        How the anchor splits counts; None if there is none. On a processor that is done beside the step before, where
        a core may be idle; a GPU does it faster by itself.
    """

    def __init__(
        self,
        dataset: CountDataset,
        *,
        batch_size: int,
        each: bool = True,
        seed: int,
        split: Callable[[SparseCounts, torch.Generator], Thinned] | None,
    ) -> None:
        super().__init__()
        self.dataset, self.seed, self.split = dataset, seed, split
        self.batch_size, self.each = batch_size, each
        self.n_obs = self.n_train = len(dataset)
        self.train_idx = np.arange(len(dataset))
        self.val_idx = np.array([], dtype=np.int64) if dataset.held_out is None else dataset.held_out.rows
        self.n_val = len(self.val_idx)
        self._order = torch.Generator().manual_seed(seed)
        self._split_generator: torch.Generator | None = None
        self._split_state: torch.Tensor | None = None

    def train_dataloader(self) -> DataLoader[CountBatch]:
        """Shuffled cells; of several processes each gets its share of the same minibatches."""
        assert self.trainer is not None  # it is there before minibatches are asked for
        rank, world = self.trainer.global_rank, self.trainer.world_size
        split = self._splitter()
        prepare = split
        if world > 1:

            def prepare(batch: Any) -> CountBatch:
                return share_of(batch if split is None else split(batch), rank=rank, world=world)

        size = self.batch_size * world if self.each else self.batch_size
        return self.dataset.shuffled(batch_size=size, generator=self._order, prepare=prepare)

    def _splitter(self) -> Callable[[Any], CountBatch] | None:
        """Splits minibatches, by the same numbers in each process; None if that is for the anchor to do."""
        split, trainer = self.split, self.trainer
        assert trainer is not None
        if split is None or trainer.strategy.root_device.type != "cpu":
            return None
        generator = torch.Generator().manual_seed(self.seed)
        if self._split_state is not None:
            generator.set_state(self._split_state)
        self._split_generator = generator
        return lambda batch: replace(batch, parts=split(batch.x, generator))

    def state_dict(self) -> dict[str, Any]:
        """States of the random numbers, for a checkpoint at the end of an epoch."""
        split = self._split_generator
        return {"order": self._order.get_state(), "split": None if split is None else split.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the random numbers of a checkpoint."""
        self._order.set_state(state_dict["order"])
        self._split_state = state_dict["split"]

    def val_dataloader(self) -> DataLoader[CountBatch] | list[Any]:
        """Cells with held-out molecules, if any."""
        if self.n_val == 0:
            return []
        cells = min(max(cached_cells(self.dataset.num_genes), 64), 512)
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        mine = self.val_idx[rank::world] if self.n_val >= world else self.val_idx
        return self.dataset.loader(mine.tolist(), batch_size=cells)

    def transfer_batch_to_device(self, batch: CountBatch, device: torch.device, dataloader_idx: int) -> CountBatch:
        """Move a minibatch, without the search through its fields that Lightning would make."""
        return batch.to(device)
