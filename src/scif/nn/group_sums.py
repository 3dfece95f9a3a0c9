"""Sums of entries by group, the same to the last bit each time."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["GroupSums"]


class GroupSums:
    """Sums of entries by group.

    On a GPU entries would be added in whatever order they come; they are sorted by their group first instead, once.

    Parameters
    ----------
    group
        Group of each entry, ``(entries,)``.
    groups
        Number of groups.

    Examples
    --------
    >>> import torch
    >>> GroupSums(torch.tensor([0, 2, 0]), 3)(torch.tensor([1.0, 2.0, 4.0])).tolist()
    [5.0, 0.0, 2.0]
    """

    def __init__(self, group: Tensor, groups: int) -> None:
        self._group, self._groups = group, groups
        self._order: Tensor | None = None
        if group.device.type == "cuda":
            self._order, self._sizes = group.argsort(stable=True), torch.bincount(group, minlength=groups)

    def __call__(self, values: Tensor) -> Tensor:
        """Sums ``(groups,)`` of values ``(entries,)``."""
        if self._order is None:
            return values.new_zeros(self._groups).index_add_(0, self._group, values)
        sums: Tensor = torch.segment_reduce(values[self._order], "sum", lengths=self._sizes, unsafe=True)
        return sums
