"""Shuffled batches of tensors in memory, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from torch import Tensor

__all__ = ["Batches"]


class Batches:
    """Batches of rows in a new order every epoch. The order depends only on the seed and the epoch.

    A data loader for tensors that fit in memory. It stores its position (:meth:`state_dict`), so a run that resumes in
    the middle of an epoch gets the same batches. In distributed training it divides the rows among the processes. Rows
    that do not fill a batch are skipped in this epoch.

    Parameters
    ----------
    data
        A tensor ``(n, ...)``, or named tensors with the same number of rows.
    batch_size
        Rows per batch in each process, at most the number of rows.
    seed
        Seed of the order.

    Examples
    --------
    >>> import torch
    >>> from scif.core.engine import Batches
    >>> batches = Batches(torch.arange(10.0), 4, seed=0)
    >>> [len(batch) for batch in batches]
    [4, 4]
    """

    def __init__(self, data: Tensor | Mapping[str, Tensor], batch_size: int, *, seed: int = 0) -> None:
        lengths = {len(part) for part in (data.values() if isinstance(data, Mapping) else [data])}
        if len(lengths) != 1 or 0 in lengths:
            msg = f"data has parts of {sorted(lengths)} rows; pass at least one row, and equally many in every part."
            raise ValueError(msg)
        if batch_size < 1:
            msg = f"batch_size is {batch_size}; it must be at least 1."
            raise ValueError(msg)
        self.data = data
        self.rows = lengths.pop()
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.position = 0

    def __len__(self) -> int:
        return max(self._share() // self.batch_size, 1)

    def __iter__(self) -> Iterator[Any]:
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        order = torch.randperm(self.rows, generator=torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch))
        rank, world = _place()
        mine = order[rank::world][: self._share()]
        while self.position < len(self):
            rows = mine[self.position * self.batch_size :][: self.batch_size]
            self.position += 1  # before the batch is handed out: a checkpoint made during its step counts it
            yield self._take(rows)

    def head(self, rows: int) -> Any:
        """The first rows, in their own order, as one batch."""
        return self._take(slice(rows))

    def state_dict(self) -> dict[str, int]:
        """Position of the loader: the epoch, and the number of batches it has returned in this epoch."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore the position of another loader."""
        self.epoch, self.position = state["epoch"], state["position"]

    def _take(self, rows: Tensor | slice) -> Any:
        if isinstance(self.data, Mapping):
            return {name: part[rows] for name, part in self.data.items()}
        return self.data[rows]

    def _share(self) -> int:
        """Rows for each process, equally many."""
        return max(self.rows // _place()[1], 1)


def _place() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
