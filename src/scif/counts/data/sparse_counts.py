"""A minibatch of counts that stays sparse on the device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from scif.core.noise._random import few_successes

__all__ = ["SparseCounts", "Thinned", "dense_counts", "entries", "library_sizes"]


@dataclass(frozen=True)
class SparseCounts:
    """Counts of a few cells by their stored entries, in row order.

    Attributes
    ----------
    row_starts
        Where each cell's entries begin, and the end, ``(cells + 1,)``.
    columns
        Gene of each entry, ``(entries,)``.
    values
        Counts, ``(entries,)``.
    num_genes
        Number of genes.

    Examples
    --------
    >>> from scipy import sparse
    >>> from scif.counts.data.sparse_counts import SparseCounts
    >>> x = SparseCounts.from_scipy(sparse.csr_matrix([[0, 2, 1], [3, 0, 0]]))
    >>> x.totals().tolist(), x.dense().tolist()
    ([3.0, 3.0], [[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    """

    row_starts: Tensor
    columns: Tensor
    values: Tensor
    num_genes: int
    _rows: Tensor | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def from_scipy(cls, x: Any) -> SparseCounts:
        """From any scipy sparse matrix or array, or a dense ``(cells, genes)`` array."""
        csr = sparse.csr_matrix(x)
        starts = torch.from_numpy(csr.indptr.astype(np.int64))
        columns = torch.from_numpy(csr.indices.astype(np.int64))
        values = torch.from_numpy(csr.data.astype(np.float32))
        return cls(starts, columns, values, int(csr.shape[1]))

    def to_scipy(self) -> sparse.csr_matrix:
        """As a scipy matrix ``(cells, genes)``, on the processor."""
        parts = (part.cpu().numpy() for part in (self.values, self.columns, self.row_starts))
        return sparse.csr_matrix(tuple(parts), shape=(self.num_cells, self.num_genes))

    @property
    def rows(self) -> Tensor:
        """Cell of each entry, ``(entries,)``."""
        if self._rows is None:
            with torch.inference_mode(False):  # they may be kept for a backward pass later
                cells = torch.arange(self.num_cells, device=self.device)
                rows = torch.repeat_interleave(cells, self.row_starts.diff(), output_size=len(self.values))
            object.__setattr__(self, "_rows", rows)  # found once, and where it is needed
            return rows
        return self._rows

    @property
    def num_cells(self) -> int:
        """Number of cells."""
        return len(self.row_starts) - 1

    @property
    def device(self) -> torch.device:
        """Where the entries live."""
        return self.values.device

    def to(self, device: Any, **kwargs: Any) -> SparseCounts:
        """The same counts on another device."""
        starts = self.row_starts.to(device, **kwargs)
        if starts.device == self.device:
            return self
        return replace(
            self,
            row_starts=starts,
            columns=self.columns.to(device, **kwargs),
            values=self.values.to(device, **kwargs),
        )

    def with_values(self, values: Tensor) -> SparseCounts:
        """The same entries with other values."""
        same = replace(self, values=values)
        object.__setattr__(same, "_rows", self._rows)
        return same

    def totals(self) -> Tensor:
        """Sum of each cell, ``(cells,)``."""
        if self.device.type == "mps":  # torch has no sums of segments there
            return self.values.new_zeros(self.num_cells).index_add_(0, self.rows, self.values)
        sums: Tensor = torch.segment_reduce(self.values, "sum", offsets=self.row_starts, unsafe=True)
        return sums

    def dense(self) -> Tensor:
        """All entries, ``(cells, genes)``."""
        out = self.values.new_zeros(self.num_cells, self.num_genes)
        out[self.rows, self.columns] = self.values
        return out

    def first(self, count: int) -> SparseCounts:
        """The first cells only."""
        count = min(count, self.num_cells)
        end = int(self.row_starts[count])
        return SparseCounts(self.row_starts[: count + 1], self.columns[:end], self.values[:end], self.num_genes)

    def matmul(self, weight: Tensor) -> Tensor:
        """Product with a dense ``(genes, k)`` matrix, ``(cells, k)``."""
        if self.device.type == "mps":  # torch has no weighted sums of rows there
            return self.dense() @ weight
        # twice as fast as torch's sparse product, and on a GPU the same to the last bit each time
        return nn.functional.embedding_bag(
            self.columns, weight, self.row_starts, mode="sum", per_sample_weights=self.values, include_last_offset=True
        )

    def thin(self, fraction: Tensor, *, generator: torch.Generator | None = None) -> Thinned:
        """Split the molecules of each cell at random into two independent parts.

        Parameters
        ----------
        fraction
            Probability of each molecule to fall into the first part, per cell ``(cells,)``.
        generator
            Source of randomness.
        """
        # Entries that are not whole numbers keep their fractional part on the second side.
        kept = few_successes(self.values.floor(), fraction, self.rows, generator)
        return Thinned(self.with_values(kept), self.with_values(self.values - kept))


@dataclass(frozen=True)
class Thinned:
    """Two independent parts of the same cells; ``a + b`` is what was split."""

    a: SparseCounts
    b: SparseCounts

    def to(self, device: Any, **kwargs: Any) -> Thinned:
        """The same parts on another device."""
        return Thinned(self.a.to(device, **kwargs), self.b.to(device, **kwargs))


def dense_counts(x: SparseCounts | Tensor) -> Tensor:
    """Counts ``(cells, genes)``, sparse or dense, as a dense array."""
    return x.dense() if isinstance(x, SparseCounts) else x


def library_sizes(x: SparseCounts | Tensor) -> Tensor:
    """Sums ``(cells,)`` of counts ``(cells, genes)``, sparse or dense."""
    return x.totals() if isinstance(x, SparseCounts) else x.sum(1)


def entries(x: SparseCounts | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value ``(entries,)`` of each entry of counts ``(cells, genes)``, sparse or dense."""
    if isinstance(x, SparseCounts):
        return x.rows, x.columns, x.values
    rows, columns = x.nonzero(as_tuple=True)
    return rows, columns, x[rows, columns]
