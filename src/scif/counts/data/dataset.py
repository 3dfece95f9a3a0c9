"""Counts as a data set: sparse minibatches, rows in the order asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler

from scif.counts.controls import without_controls
from scif.counts.data.batch import CountBatch
from scif.counts.data.prefetch import AheadLoader, ahead
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.data.stored import MIXED, NeighbouringBatches, StoredCounts, by_rows

__all__ = ["CountDataset", "HeldOut"]

#: Cells that are read at a time where all are gone through.
BLOCK = 1024


@dataclass(frozen=True)
class HeldOut:
    """Molecules that training does not see.

    Attributes
    ----------
    rows
        Cells that have some, ``(rows,)``.
    counts
        Their held-out counts, ``(rows, genes)``, with the stored entries of the counts of these cells.
    """

    rows: np.ndarray
    counts: sparse.csr_matrix


class CountDataset(Dataset[CountBatch]):
    """Counts of cells; an item is a minibatch of the rows asked for.

    Parameters
    ----------
    counts
        Cells x genes: an array or sparse matrix in memory, or backed, ``h5py``, ``zarr`` or dask arrays.
    batch
        Batch codes ``(cells,)``; None if there is one batch.
    size_factor
        Positive size factors ``(cells,)``; None if library sizes are sums of counts.
    factor_unit
        Counts per unit of size factor; None if there are no size factors.
    genes
        Columns of the data in the order of the model's genes; None if they are in order.
    held_out
        Molecules that are kept from training.
    controls
        Numbers of the model's genes that are spike-ins or controls, whose counts the model does not see; None if there
        are none.
    """

    def __init__(
        self,
        counts: Any,
        *,
        batch: np.ndarray | None = None,
        size_factor: np.ndarray | None = None,
        factor_unit: float | None = None,
        genes: np.ndarray | None = None,
        held_out: HeldOut | None = None,
        controls: np.ndarray | None = None,
    ) -> None:
        self.data = by_rows(counts)
        self.genes = genes
        self.num_cells = int(self.data.shape[0])
        self.batch = batch
        self.factor, self.factor_unit = size_factor, factor_unit
        self.held_out, self.controls = held_out, controls
        self._slot = np.full(self.num_cells, -1)
        if held_out is not None:
            self._slot[held_out.rows] = np.arange(len(held_out.rows))

    def with_held_out(self, held_out: HeldOut) -> CountDataset:
        """The same cells with some molecules kept from training."""
        return CountDataset(
            self.data,
            batch=self.batch,
            size_factor=self.factor,
            factor_unit=self.factor_unit,
            genes=self.genes,
            held_out=held_out,
            controls=self.controls,
        )

    def whole(self) -> CountDataset:
        """The same cells with all of their molecules."""
        return CountDataset(
            self.data,
            batch=self.batch,
            size_factor=self.factor,
            factor_unit=self.factor_unit,
            genes=self.genes,
            controls=self.controls,
        )

    def __len__(self) -> int:
        return self.num_cells

    @property
    def num_genes(self) -> int:
        """Genes of the model."""
        return int(self.data.shape[1]) if self.genes is None else len(self.genes)

    @property
    def on_disk(self) -> bool:
        """Whether counts are read when they are asked for."""
        return isinstance(self.data, StoredCounts)

    def counts(self, rows: Sequence[int] | np.ndarray) -> sparse.csr_matrix:
        """Counts of some cells, in that order, with the model's genes; controls have none."""
        return without_controls(self._every_count(rows), self.controls)

    def _every_count(self, rows: Sequence[int] | np.ndarray) -> sparse.csr_matrix:
        index = np.asarray(rows, dtype=np.int64)
        x = sparse.csr_matrix(self.data[index], dtype=np.float32)
        x = x if self.genes is None else x[:, self.genes]
        x.sum_duplicates()  # sorts, too
        x.eliminate_zeros()
        return x

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> CountBatch:
        """A minibatch, without the molecules that are held out."""
        index = np.asarray(rows, dtype=np.int64)
        every = self._every_count(index)
        x, ratio, controls = without_controls(every, self.controls), None, None
        if self.controls is not None:
            controls = torch.from_numpy(every[:, self.controls].toarray())
        if self.factor is not None and self.factor_unit is not None:
            totals = np.asarray(x.sum(1)).ravel()
            ratio = torch.from_numpy((self.factor[index] * self.factor_unit / totals).astype(np.float32))
        kept = self._held_out_of(x, index)
        held_out = None
        if kept is not None:
            x.data -= kept
            held_out = SparseCounts.from_scipy(sparse.csr_matrix((kept, x.indices, x.indptr), x.shape))
        batch = None if self.batch is None else torch.from_numpy(self.batch[index])
        return CountBatch(SparseCounts.from_scipy(x), batch, ratio, held_out, controls=controls)

    def training_counts(self, rows: Sequence[int] | np.ndarray) -> sparse.csr_matrix:
        """Counts of some cells without the molecules that are held out."""
        index = np.asarray(rows, dtype=np.int64)
        x = self.counts(index)
        kept = self._held_out_of(x, index)
        if kept is not None:
            x.data -= kept
            x.eliminate_zeros()
        return x

    def _held_out_of(self, x: sparse.csr_matrix, index: np.ndarray) -> np.ndarray | None:
        """Held-out molecules at each stored entry of the counts of some cells; None if there are none."""
        slots = self._slot[index]
        if self.held_out is None or not bool((slots >= 0).any()):
            return None
        values = np.zeros_like(x.data)
        # the held-out matrix stores the entries of the counts that it was taken from, zeros included
        values[np.repeat(slots >= 0, np.diff(x.indptr))] = self.held_out.counts[slots[slots >= 0]].data
        return values

    def gene_totals(self) -> np.ndarray:
        """Counts of each gene over the cells of each batch, with molecules that are held out, ``(batches, genes)``."""
        codes = np.zeros(self.num_cells, dtype=np.int64) if self.batch is None else self.batch
        totals = np.zeros((int(codes.max(initial=0)) + 1, self.num_genes))
        for start in range(0, self.num_cells, BLOCK):
            rows = np.arange(start, min(start + BLOCK, self.num_cells))
            x = self.counts(rows)
            for code in np.unique(codes[rows]):
                totals[code] += np.asarray(x[codes[rows] == code].sum(0, dtype=np.float64)).ravel()
        return totals

    @contextmanager
    def held(self, rows: np.ndarray) -> Iterator[None]:
        """While this lasts, keep some cells in memory if the data is on disk, all if they are few; then none."""
        if isinstance(self.data, StoredCounts):
            if self.num_cells <= MIXED:
                rows = np.arange(self.num_cells)
            elif self.held_out is not None:
                rows = np.union1d(rows, self.held_out.rows)
            self.data.hold("cells", rows)
        try:
            yield
        finally:
            if isinstance(self.data, StoredCounts):
                self.data.release()

    def shuffled(
        self,
        *,
        batch_size: int,
        generator: torch.Generator,
        prepare: Callable[[Any], CountBatch] | None = None,
    ) -> DataLoader[CountBatch]:
        """Minibatches of all cells in random order, prepared; from disk of neighbours if they are many."""
        if self.on_disk and self.num_cells > MIXED:
            order: Sampler[Any] = NeighbouringBatches(self.data, batch_size=batch_size, generator=generator)
            return _loader(self, order, prepare)
        cells = RandomSampler(range(self.num_cells), generator=generator)
        return self.loader(cells, batch_size=batch_size, prepare=prepare)

    def loader(
        self,
        sampler: Sampler[int] | Sequence[int],
        *,
        batch_size: int,
        prepare: Callable[[Any], CountBatch] | None = None,
    ) -> DataLoader[CountBatch]:
        """Minibatches of the cells that a sampler gives, prepared."""
        batches = BatchSampler(sampler, batch_size=batch_size, drop_last=False)
        return _loader(self, batches, prepare)

    def batches(self, rows: np.ndarray, *, batch_size: int) -> Iterator[CountBatch]:
        """Minibatches of some cells, in that order."""
        return ahead(self[rows[start : start + batch_size]] for start in range(0, len(rows), batch_size))


def _loader(dataset: CountDataset, sampler: Sampler[Any], prepare: Callable[[Any], CountBatch] | None) -> AheadLoader:
    """Minibatches as a sampler gives them.

    A data loader draws a seed for workers, which there are none of here, whenever it starts. With a generator of its
    own that leaves torch's alone, which dropout draws from: a resumed training starts one loader more.
    """
    return AheadLoader(dataset, sampler=sampler, batch_size=None, collate_fn=prepare, generator=torch.Generator())
