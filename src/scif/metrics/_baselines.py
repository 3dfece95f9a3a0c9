"""Two simple denoisers that a method has to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from scif.metrics._matrix import as_counts, library_sizes

__all__ = ["LowRank", "low_rank", "pooled_profile", "truncated_svd"]

_Function = Callable[[np.ndarray], np.ndarray]
_TRANSFORMS: dict[str, tuple[_Function, _Function]] = {"log": (np.log1p, np.expm1), "sqrt": (np.sqrt, np.square)}


def pooled_profile(X: Any) -> np.ndarray:
    """Each cell's library size times the composition of all cells pooled: the prediction of "no biology".

    Parameters
    ----------
    X
        Counts, cells x genes, sparse or dense.

    Returns
    -------
    Expected counts, cells x genes, float32; row sums are those of ``X``.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import pooled_profile
    >>> pooled_profile(np.array([[4, 0], [1, 3]])).tolist()
    [[2.5, 1.5], [2.5, 1.5]]
    """
    counts = as_counts(X)
    per_gene = np.asarray(counts.sum(axis=0)).ravel()
    total = per_gene.sum()
    if total == 0:
        return np.zeros(counts.shape, np.float32)
    return np.outer(library_sizes(counts), per_gene / total).astype(np.float32)


def truncated_svd(X: Any, rank: int = 20, *, transform: Literal["log", "sqrt"] = "log") -> np.ndarray:
    """Denoise by a truncated SVD of normalised, transformed counts, scaled back to each cell's library size.

    Counts are scaled to the median library size, transformed (``log1p`` or square root), replaced by their best
    approximation of the given rank, clipped at zero, transformed back and scaled to the library size.

    Parameters
    ----------
    X
        Counts, cells x genes, sparse or dense.
    rank
        Number of singular vectors to keep, smaller than the number of cells and the number of genes.
    transform
        Variance-stabilising transform.

    Returns
    -------
    Expected counts, cells x genes, float32; row sums are those of ``X``.

    Raises
    ------
    ValueError
        If the rank does not fit the matrix, or if the transform is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import truncated_svd
    >>> counts = np.outer([1, 2, 3], [4, 5, 6, 7])
    >>> bool(np.allclose(truncated_svd(counts, 1), counts, rtol=1e-5))
    True
    """
    counts = as_counts(X)
    if not 1 <= rank < min(counts.shape):
        msg = f"rank is {rank}; it must be at least 1 and below {min(counts.shape)} for counts of shape {counts.shape}."
        raise ValueError(msg)
    return low_rank(counts, rank, transform).expected(rank)


@dataclass(frozen=True)
class LowRank:
    """Singular vectors of transformed counts, largest singular value first, and the way back to counts."""

    left: np.ndarray
    right: np.ndarray
    library: np.ndarray
    transform: str

    def expected(self, rank: int) -> np.ndarray:
        """Expected counts from the first ``rank`` components, float32, at each cell's library size."""
        expected = self.left[:, :rank] @ self.right[:rank]
        np.clip(expected, 0.0, None, out=expected)
        expected = _TRANSFORMS[self.transform][1](expected)
        total = expected.sum(axis=1)
        expected *= (self.library / np.where(total > 0, total, 1.0))[:, None]
        return expected.astype(np.float32)


def low_rank(counts: sparse.csr_matrix, rank: int, transform: str) -> LowRank:
    """Truncated SVD of size-normalised, transformed counts, with a fixed start."""
    if transform not in _TRANSFORMS:
        msg = f"transform is {transform!r}; choose one of {', '.join(map(repr, _TRANSFORMS))}."
        raise ValueError(msg)
    size = library_sizes(counts)
    median = float(np.median(size[size > 0])) if (size > 0).any() else 1.0
    scaled = counts.multiply(median / np.where(size > 0, size, 1.0)[:, None]).tocsr()
    scaled.data = _TRANSFORMS[transform][0](scaled.data)
    start = np.ones(min(counts.shape)) / np.sqrt(min(counts.shape))  # ARPACK's own start is random
    left, values, right = svds(scaled, k=rank, v0=start)
    return LowRank((left * values)[:, ::-1], right[::-1], size, transform)
