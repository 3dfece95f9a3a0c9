"""A truncated SVD of size-normalised, transformed counts that can be read at any rank up to the one computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library
from scipy.sparse.linalg import svds

from scif.metrics import poisson_nll, split_counts

__all__ = ["RANKS", "LowRank", "low_rank", "rank_by_held_out"]

RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30)
_TRANSFORMS = {"log": (np.log1p, np.expm1), "sqrt": (np.sqrt, np.square)}


@dataclass(frozen=True)
class LowRank:
    """Left and right singular vectors, largest singular value first, and what brings them back to counts."""

    left: np.ndarray
    right: np.ndarray
    library: np.ndarray
    transform: str

    def expected(self, rank: int) -> np.ndarray:
        """Expected counts from the first ``rank`` components, clipped at zero, at each cell's library size."""
        backward = _TRANSFORMS[self.transform][1]
        return to_library(backward(np.maximum(self.left[:, :rank] @ self.right[:rank], 0.0)), self.library)


def low_rank(counts: sp.csr_matrix, rank: int, *, transform: str) -> LowRank:
    """Compute the decomposition on the sparse matrix, with a fixed start."""
    library = library_size(counts)
    scaled = sp.csr_matrix(counts.multiply(np.median(library) / library))
    scaled.data = _TRANSFORMS[transform][0](scaled.data)
    rank = min(rank, min(counts.shape) - 1)
    left, values, right = svds(scaled, k=rank, v0=np.full(min(counts.shape), 1.0))
    return LowRank(left[:, ::-1] * values[::-1], right[::-1], library, transform)


def rank_by_held_out(counts: sp.csr_matrix, *, transform: str, seed: int) -> int:
    """The rank of lowest Poisson NLL on a tenth of the molecules held out from ``counts`` themselves."""
    inner = split_counts(counts, 0.9, seed=10_000 + seed)
    fitted = low_rank(inner.train, max(RANKS), transform=transform)
    usable = [rank for rank in RANKS if rank <= fitted.left.shape[1]]
    scores = [poisson_nll(fitted.expected(rank), inner.test, scale=inner.scale) for rank in usable]
    return usable[int(np.argmin(scores))]
