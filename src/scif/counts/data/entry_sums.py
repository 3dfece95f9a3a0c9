"""Sums of stored entries over cells or over genes, the same to the last bit each time."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ["EntrySums"]


class EntrySums:
    """Sums of the entries of a sparse array along one of its axes.

    Parameters
    ----------
    rows, columns
        Where the entries are, ``(entries,)``, no two at one place.
    shape
        Of the array.
    axis
        The axis that is summed over: 0 gives the sums of columns, 1 those of rows.
    dense
        Whether to put entries into a dense array first; on a GPU if not given, which else would add them in whatever
        order they come.

    Examples
    --------
    >>> import torch
    >>> of_rows = EntrySums(torch.tensor([0, 2, 0]), torch.tensor([1, 0, 0]), (3, 2), axis=1)
    >>> of_rows(torch.tensor([1.0, 2.0, 4.0])).tolist()
    [5.0, 0.0, 2.0]
    """

    def __init__(
        self, rows: Tensor, columns: Tensor, shape: Sequence[int], *, axis: int, dense: bool | None = None
    ) -> None:
        self._shape, self._axis = tuple(shape), axis
        self._dense = rows.device.type != "cpu" if dense is None else dense
        self._place = rows * shape[1] + columns if self._dense else columns if axis == 0 else rows

    def __call__(self, values: Tensor) -> Tensor:
        """Sums ``(rows,)`` or ``(columns,)`` of values ``(entries,)``."""
        if not self._dense:
            return values.new_zeros(self._shape[1 - self._axis]).index_add_(0, self._place, values)
        dense = values.new_zeros(self._shape[0] * self._shape[1])
        dense[self._place] = values
        return dense.view(self._shape).sum(self._axis)
