"""The share of one process in a minibatch: several processes train as one does on all of its cells."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scif.counts.data.batch import CountBatch
from scif.counts.data.sparse_counts import SparseCounts, Thinned

__all__ = ["share_of"]


def share_of(batch: CountBatch, *, rank: int, world: int) -> CountBatch:
    """Every ``world``-th cell of a minibatch, and what its loss weighs.

    A loss is a mean over hidden molecules, and the average over processes must be the mean over all of them: each
    process weighs its own by its share of the molecules. A process without a cell takes the first, with no weight.

    Parameters
    ----------
    batch
        The whole minibatch, with its counts split; with equal weights if they are not.
    rank, world
        Number of this process, and of processes.

    Examples
    --------
    >>> from scipy import sparse
    >>> whole = CountBatch(SparseCounts.from_scipy(sparse.csr_matrix([[1, 0], [0, 2], [3, 0]])))
    >>> share_of(whole, rank=0, world=2).x.totals().tolist()
    [1.0, 3.0]
    """
    cells = torch.arange(rank, batch.x.num_cells, world)
    empty = len(cells) == 0
    cells = torch.zeros(1, dtype=torch.long) if empty else cells
    weight = None
    if batch.parts is not None:
        totals = batch.parts.b.totals()
        weight = world * totals[cells].sum() / totals.sum().clamp_min(1.0)
        weight = torch.zeros_like(weight) if empty else weight
    elif empty:
        weight = torch.zeros(())
    return replace(
        batch,
        x=_rows(batch.x, cells),
        parts=None if batch.parts is None else Thinned(_rows(batch.parts.a, cells), _rows(batch.parts.b, cells)),
        batch=_some(batch.batch, cells),
        ratio=_some(batch.ratio, cells),
        controls=_some(batch.controls, cells),
        held_out=None if batch.held_out is None else _rows(batch.held_out, cells),
        weight=weight,
    )


def _some(values: Tensor | None, cells: Tensor) -> Tensor | None:
    return None if values is None else values[cells]


def _rows(x: SparseCounts, cells: Tensor) -> SparseCounts:
    """Some cells of sparse counts."""
    lengths = x.row_starts.diff()[cells]
    starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    first = torch.repeat_interleave(x.row_starts[cells] - starts[:-1], lengths)
    entries = torch.arange(int(starts[-1])) + first
    return SparseCounts(starts, x.columns[entries], x.values[entries], x.num_genes)
