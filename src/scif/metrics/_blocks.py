"""Denoised values by blocks of cells, from an array or from a function that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import check_prediction

__all__ = ["blocks"]

_CELLS = 1024


def blocks(
    denoised: Any | Callable[[slice], Any], shape: tuple[int, int], *, name: str = "denoised"
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their values, ``(rows, genes)`` in double precision, block after block.

    Parameters
    ----------
    denoised
        Expected counts, cells x genes; or a function that maps a slice of cells to their rows.
    shape
        Shape of the whole.
    name
        What an error calls the values.
    """
    whole = denoised if callable(denoised) else check_prediction(denoised, shape, name=name)
    for start in range(0, shape[0], _CELLS):
        rows = slice(start, min(start + _CELLS, shape[0]))
        found = whole(rows) if callable(whole) else whole[rows]
        found = check_prediction(found, (rows.stop - rows.start, shape[1]), name=f"{name}[{rows.start}:{rows.stop}]")
        yield rows, np.asarray(found.toarray() if sparse.issparse(found) else found, dtype=np.float64)
