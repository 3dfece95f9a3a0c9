"""A fixed sample of cells that a stage goes through as often as it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from scif.counts.data.batch import CountBatch, GatheredCounts
from scif.counts.data.dataset import CountDataset

__all__ = ["CellSample"]


@dataclass(frozen=True)
class CellSample:
    """The same minibatches in the same order each time, on one device, with all of their molecules.

    Attributes
    ----------
    dataset
        Counts of all cells.
    rows
        Cells of the sample, in their order.
    batch_size
        Cells of a minibatch.
    device
        Where minibatches are.
    """

    dataset: CountDataset
    rows: np.ndarray
    batch_size: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CountBatch]:
        for cells in self.dataset.batches(self.rows, batch_size=self.batch_size):
            yield cells.whole().to(self.device)

    def first(self, entries: int) -> CellSample:
        """The first minibatches with at most so many entries (cells x genes), one at the least."""
        batches = max(entries // (min(self.batch_size, len(self)) * self.dataset.num_genes), 1)
        return CellSample(self.dataset, self.rows[: batches * self.batch_size], self.batch_size, self.device)

    def gathered(self) -> GatheredCounts:
        """All cells put together, on the processor."""
        return GatheredCounts.of(self)
