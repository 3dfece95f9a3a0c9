"""Counts that stay on disk: read in stretches of neighbouring cells, held while they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import Sampler

__all__ = ["NeighbouringBatches", "StoredCounts", "by_rows"]

#: Cells no further apart than this are read with what lies between them, up to so many cells: a call costs more.
GAP, MOST = 256, 4096
#: Neighbouring cells that are read together, and cells that are mixed, while training.
STRETCH, MIXED = 256, 16_384


def by_rows(data: Any) -> Any:
    """Something that gives the rows asked for: an array or CSR matrix in memory, or counts that stay on disk."""
    if getattr(data, "format", None) == "csc":
        # it has no rows to fetch: one conversion instead of one for each minibatch
        return sparse.csr_matrix(data if sparse.issparse(data) else data.to_memory())
    return data if isinstance(data, (np.ndarray, StoredCounts)) or sparse.issparse(data) else StoredCounts(data)


class StoredCounts:
    """Rows of a count matrix on disk.

    A compressed file is unpacked chunk by chunk, so that a minibatch of cells from all over it would unpack most of it.
    Rows that will be wanted again are held in memory instead.

    Parameters
    ----------
    data
        Backed matrix of an AnnData, ``h5py`` or ``zarr`` array, or dask array, cells x genes.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self.shape: tuple[int, int] = (int(data.shape[0]), int(data.shape[1]))
        self._held: dict[str, tuple[np.ndarray, sparse.csr_matrix]] = {}

    def hold(self, name: str, rows: np.ndarray) -> None:
        """Keep some rows in memory, in place of what was held under this name; what was is not read again."""
        nothing = (np.empty(0, dtype=np.int64), sparse.csr_matrix((0, self.shape[1]), dtype=np.float32))
        before, x = self._held.pop(name, nothing)
        rows = np.unique(rows)
        is_new = ~np.isin(rows, before)
        old = x[np.searchsorted(before, rows[~is_new])]
        together = sparse.vstack([old, self[rows[is_new]].astype(np.float32)], format="csr")
        place = np.argsort(np.concatenate([rows[~is_new], rows[is_new]]))
        self._held[name] = (rows, sparse.csr_matrix(together)[place])

    def release(self) -> None:
        """Hold nothing any longer."""
        self._held.clear()

    def __getitem__(self, rows: np.ndarray | slice) -> sparse.csr_matrix:
        """Rows in the order asked for, from memory if one name holds all of them."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        for held, x in self._held.values():
            place = np.searchsorted(held, rows).clip(max=max(len(held) - 1, 0))
            if len(held) and bool((held[place] == rows).all()):
                return x[place]
        unique, inverse = np.unique(rows, return_inverse=True)
        x = self._read(unique)
        return x if len(unique) == len(rows) and bool((unique == rows).all()) else x[inverse]

    def _read(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Rows in ascending order."""
        if len(rows) == 0:
            return sparse.csr_matrix((0, self.shape[1]))
        parts = []
        apart = (np.diff(rows) > GAP) | (np.diff(rows // MOST) > 0)
        for near in np.split(rows, np.flatnonzero(apart) + 1):
            part = self.data[int(near[0]) : int(near[-1]) + 1]
            part = part.compute() if hasattr(part, "compute") else part
            part = sparse.csr_matrix(part)
            parts.append(part if part.shape[0] == len(near) else part[near - near[0]])
        return parts[0] if len(parts) == 1 else sparse.csr_matrix(sparse.vstack(parts, format="csr"))


class NeighbouringBatches(Sampler[list[int]]):
    """Minibatches for training from disk: stretches in random order, their cells mixed many stretches at a time.

    Every cell comes once. With no more cells than are mixed at a time, the order is wholly random.

    Parameters
    ----------
    stored
        Where the cells are; told what to hold.
    batch_size
        Cells per minibatch.
    generator
        Of the order.
    """

    def __init__(self, stored: StoredCounts, *, batch_size: int, generator: torch.Generator) -> None:
        self.stored, self.batch_size, self.generator = stored, batch_size, generator

    def __len__(self) -> int:
        return -(-self.stored.shape[0] // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Rows of one minibatch after the other, all as large as asked for but the last."""
        num_cells = self.stored.shape[0]
        stretches = torch.arange(num_cells).split(STRETCH)
        order = torch.randperm(len(stretches), generator=self.generator).tolist()
        together = max(MIXED // STRETCH, 1)
        left = torch.empty(0, dtype=torch.long)
        for start in range(0, len(order), together):
            rows = torch.cat([left, *(stretches[i] for i in order[start : start + together])])
            rows = rows[torch.randperm(len(rows), generator=self.generator)]
            self.stored.hold("mixed", rows.numpy())
            is_last = start + together >= len(order)
            whole = len(rows) if is_last else len(rows) - len(rows) % self.batch_size
            for first in range(0, whole, self.batch_size):
                yield rows[first : first + self.batch_size].tolist()
            left = rows[whole:]
