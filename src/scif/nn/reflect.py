"""Reflection at the border, for any amount of padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["reflect_indices"]


def reflect_indices(start: int, stop: int, size: int) -> NDArray[np.int64]:
    """Indices ``start ... stop - 1`` of an axis of ``size`` entries mirrored at both ends.

    Unlike the padding of torch it may reach further than the axis is long, and an axis of one entry is repeated.

    Parameters
    ----------
    start, stop
        Range of positions; negative ones and those from ``size`` on lie outside.
    size
        Length of the axis.

    Examples
    --------
    >>> reflect_indices(-2, 5, 3).tolist()
    [2, 1, 0, 1, 2, 1, 0]
    """
    period = max(2 * (size - 1), 1)
    folded = np.arange(start, stop) % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros(stop - start, dtype=np.int64)
