"""Choices that decide the values of a streamed layer: rows of two runs are never mixed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from scif.counts.data.stored import by_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hash_of_counts", "hash_of_names"]

#: Rows read at a time.
ROWS = 2048


def hash_of_counts(data: Any) -> str:
    """Hash of a count matrix by its values, whatever its layout: dense, sparse, or on disk."""
    found = hashlib.blake2b(digest_size=12)
    rows = by_rows(data)
    for start in range(0, int(data.shape[0]), ROWS):
        x = sparse.csr_matrix(rows[start : min(start + ROWS, int(data.shape[0]))], dtype=np.float32)
        x.sum_duplicates()
        x.eliminate_zeros()
        for values in (x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)):
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def hash_of_names(*names: Iterable[str]) -> str:
    """Hash of the names of cells and genes, in order."""
    found = hashlib.blake2b(digest_size=12)
    for axis in names:
        found.update("\x1f".join(str(name) for name in axis).encode() + b"\x1e")
    return found.hexdigest()
