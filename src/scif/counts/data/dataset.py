"""From a registered AnnData to sparse minibatches, rows in the order asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from scif.counts.data.prefetch import AheadLoader, ahead
from scif.counts.data.sparse_counts import SparseCounts, Thinned
from scif.counts.data.stored import MIXED, NeighbouringBatches, StoredCounts, by_rows

__all__ = ["CountBatch", "CountDataModule", "CountDataset", "GatheredCounts", "cached_cells", "numbered"]

#: Entries (cells x genes) of a dense array that stays in the processor's cache.
CACHED = 1_000_000
#: Cells that are read at a time where all are gone through.
BLOCK = 1024


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
    """

    x: SparseCounts
    batch: Tensor | None = None
    ratio: Tensor | None = None
    held_out: SparseCounts | None = None
    parts: Thinned | None = None

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


class CountDataset(Dataset[CountBatch]):
    """The registered counts; an item is a list of cells.

    Parameters
    ----------
    manager
        Of a registered AnnData, in memory, backed or of dask arrays.
    genes
        Columns of the data in the order of the model's genes; None if they are already.
    factor_unit
        Counts per unit of size factor; None if there are no size factors.
    held_out
        Rows whose molecules are partly kept from training, and what is kept: a matrix with a row for each and the
        same stored entries as the counts of these rows.
    """

    def __init__(
        self,
        manager: AnnDataManager,
        *,
        genes: np.ndarray | None = None,
        factor_unit: float | None = None,
        held_out: tuple[np.ndarray, sparse.csr_matrix] | None = None,
    ) -> None:
        self.data = by_rows(manager.get_from_registry(REGISTRY_KEYS.X_KEY))
        self.genes = genes
        self.factor_unit = factor_unit
        self.num_cells = int(manager.adata.n_obs)
        registered = manager.data_registry
        codes = manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY).ravel().astype(np.int64)
        self.batch = codes if manager.summary_stats.n_batch > 1 else None
        factors = REGISTRY_KEYS.SIZE_FACTOR_KEY in registered and factor_unit is not None
        self.factor = manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY).ravel() if factors else None
        self.held_out = held_out
        self._slot = np.full(self.num_cells, -1)
        if held_out is not None:
            self._slot[held_out[0]] = np.arange(len(held_out[0]))

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
        """Counts of some cells, in that order, with the model's genes."""
        index = np.asarray(rows, dtype=np.int64)
        x = sparse.csr_matrix(self.data[index], dtype=np.float32)
        x = x if self.genes is None else x[:, self.genes]
        x.sum_duplicates()  # sorts, too
        x.eliminate_zeros()
        return x

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> CountBatch:
        """A minibatch, without the molecules that are held out."""
        index = np.asarray(rows, dtype=np.int64)
        x = self.counts(index)
        ratio = None
        if self.factor is not None and self.factor_unit is not None:
            totals = np.asarray(x.sum(1)).ravel()
            ratio = torch.from_numpy((self.factor[index] * self.factor_unit / totals).astype(np.float32))
        kept = self._held_out_of(x, index)
        held_out = None
        if kept is not None:
            x.data -= kept
            held_out = SparseCounts.from_scipy(sparse.csr_matrix((kept, x.indices, x.indptr), x.shape))
        batch = None if self.batch is None else torch.from_numpy(self.batch[index])
        return CountBatch(SparseCounts.from_scipy(x), batch, ratio, held_out)

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
        """What is held out at each stored entry of the counts of some cells; None if nothing is."""
        slots = self._slot[index]
        if self.held_out is None or not bool((slots >= 0).any()):
            return None
        values = np.zeros_like(x.data)
        # the held-out matrix stores the entries of the counts that it was taken from, zeros included
        values[np.repeat(slots >= 0, np.diff(x.indptr))] = self.held_out[1][slots[slots >= 0]].data
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
                rows = np.union1d(rows, self.held_out[0])
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
            return AheadLoader(self, sampler=order, batch_size=None, collate_fn=prepare)
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
        return AheadLoader(self, sampler=batches, batch_size=None, collate_fn=prepare)

    def batches(self, rows: np.ndarray, *, batch_size: int) -> Iterator[CountBatch]:
        """Minibatches of some cells, in that order."""
        return ahead(self[rows[start : start + batch_size]] for start in range(0, len(rows), batch_size))


def numbered(cells: Iterable[CountBatch], device: torch.device) -> Iterator[tuple[CountBatch, slice]]:
    """Minibatches on a device, and which of the cells they are."""
    end = 0
    for cell in cells:
        start, end = end, end + cell.x.num_cells
        yield cell.to(device), slice(start, end)


def cached_cells(num_genes: int) -> int:
    """Cells of a minibatch whose dense arrays stay in the processor's cache: twice as fast as larger ones."""
    return min(max(CACHED // num_genes, 16), 4096)


class CountDataModule(pl.LightningDataModule):
    """All cells for training; for validation the molecules held out of some of them.

    Parameters
    ----------
    dataset
        With its held-out molecules.
    batch_size
        Cells per minibatch.
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
        seed: int,
        split: Callable[[SparseCounts, torch.Generator], Thinned] | None,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed, self.split = dataset, batch_size, seed, split
        self.n_obs = self.n_train = len(dataset)
        self.train_idx = np.arange(len(dataset))
        self.val_idx = np.array([], dtype=np.int64) if dataset.held_out is None else dataset.held_out[0]
        self.n_val = len(self.val_idx)
        self._order = torch.Generator().manual_seed(seed)

    def train_dataloader(self) -> DataLoader[CountBatch]:
        """Shuffled cells."""
        return self.dataset.shuffled(batch_size=self.batch_size, generator=self._order, prepare=self._splitter())

    def _splitter(self) -> Callable[[Any], CountBatch] | None:
        """Splits minibatches, by numbers of its own in each process; None if that is for the anchor to do."""
        split, trainer = self.split, self.trainer
        assert trainer is not None  # it is there before minibatches are asked for
        if split is None or trainer.strategy.root_device.type != "cpu":
            return None
        generator = torch.Generator().manual_seed(self.seed + trainer.global_rank)
        return lambda batch: replace(batch, parts=split(batch.x, generator))

    def val_dataloader(self) -> DataLoader[CountBatch] | list[Any]:
        """Cells with held-out molecules, if any."""
        if self.n_val == 0:
            return []
        cells = min(max(cached_cells(self.dataset.num_genes), 64), 512)
        return self.dataset.loader(SequentialSampler(self.val_idx), batch_size=cells)

    def transfer_batch_to_device(self, batch: CountBatch, device: torch.device, dataloader_idx: int) -> CountBatch:
        """Move a minibatch, without the search through its fields that Lightning would make."""
        return batch.to(device)
