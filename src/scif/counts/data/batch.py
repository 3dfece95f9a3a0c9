"""Minibatches of cells, and minibatches put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from scif.counts.data.sparse_counts import SparseCounts, Thinned

__all__ = ["CountBatch", "GatheredCounts", "cached_cells", "numbered"]

#: Entries (cells x genes) of a dense array that stays in the processor's cache.
CACHED = 1_000_000


@dataclass(frozen=True)
class CountBatch:
    """A minibatch of cells.

    Attributes
    ----------
    x
        Counts.
    batch
        Batch codes ``(cells,)``; None if there is one batch.
    ratio
        Library size by size factor, over the sum of counts ``(cells,)``; None if library sizes are sums.
    held_out
        Molecules kept from training, for validation.
    parts
        The counts split for the anchor; None if it has to do that.
    controls
        Counts of spike-ins and controls, which are not among the others, ``(cells, controls)``; None if there are none.
    weight
        Factor on the loss, where the minibatch is one process's share of a larger one; None for one.
    """

    x: SparseCounts
    batch: Tensor | None = None
    ratio: Tensor | None = None
    held_out: SparseCounts | None = None
    parts: Thinned | None = None
    controls: Tensor | None = None
    weight: Tensor | None = None

    def to(self, device: Any, **kwargs: Any) -> CountBatch:
        """The same cells on another device."""
        moved = {name: value.to(device, **kwargs) for name, value in vars(self).items() if value is not None}
        return replace(self, **moved)

    def whole(self) -> CountBatch:
        """The same cells with the molecules that were held out."""
        if self.held_out is None:
            return self
        # both store the same entries
        return replace(self, x=self.x.with_values(self.x.values + self.held_out.values), held_out=None)

    @property
    def library(self) -> Tensor:
        """Library sizes ``(cells,)``: sums of counts, or what the size factors say."""
        totals = self.x.totals()
        return totals if self.ratio is None else totals * self.ratio


@dataclass(frozen=True)
class GatheredCounts:
    """Minibatches put together, on the processor.

    Attributes
    ----------
    x
        Counts ``(cells, genes)``.
    batch
        Batch codes ``(cells,)``; zeros if there is one batch.
    library
        Library sizes ``(cells,)``.
    """

    x: sparse.csr_matrix
    batch: np.ndarray
    library: np.ndarray

    @classmethod
    def of(cls, cells: Iterable[CountBatch]) -> GatheredCounts:
        """All cells of minibatches."""
        counts, codes, library = [], [], []
        for cell in cells:
            counts.append(cell.x.to_scipy())
            codes.append(np.zeros(cell.x.num_cells) if cell.batch is None else cell.batch.reshape(-1).cpu().numpy())
            library.append(cell.library.cpu().numpy())
        return cls(sparse.vstack(counts, format="csr"), np.concatenate(codes).astype(int), np.concatenate(library))


def numbered(cells: Iterable[CountBatch], device: torch.device) -> Iterator[tuple[CountBatch, slice]]:
    """Minibatches on a device, and which of the cells they are."""
    end = 0
    for cell in cells:
        start, end = end, end + cell.x.num_cells
        yield cell.to(device), slice(start, end)


def cached_cells(num_genes: int) -> int:
    """Cells of a minibatch whose dense arrays stay in the processor's cache: twice as fast as larger ones."""
    return min(max(CACHED // num_genes, 16), 4096)
