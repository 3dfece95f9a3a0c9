"""Molecular cross-validation: hold some molecules of every cell out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import as_counts

__all__ = ["CountSplit", "split_counts"]


@dataclass(frozen=True)
class CountSplit:
    """Two parts of a count matrix, ``train + test = X``, both CSR of shape cells x genes."""

    train: sparse.csr_matrix
    test: sparse.csr_matrix

    @property
    def scale(self) -> float:
        """Held-out molecules per training molecule: the factor for a prediction at the depth of ``train``."""
        return float(self.test.sum() / self.train.sum())


def split_counts(X: Any, fraction: float = 0.9, *, seed: int = 0) -> CountSplit:
    """Assign each molecule to ``train`` with probability ``fraction``, otherwise to ``test`` (binomial thinning).

    If counts are Poisson given the expression, the two parts are independent given the expression, so one part can
    score a denoiser that has seen only the other :cite:p:`batson2019molecular`. The draw runs over the non-zero entries
    row by row. It depends only on the counts and the seed, not on the storage format.

    Parameters
    ----------
    X
        Counts, cells x genes, sparse or dense.
    fraction
        Expected fraction of the molecules in ``train``, strictly between 0 and 1.
    seed
        Seed of the draw.

    Raises
    ------
    ValueError
        If ``fraction`` is out of range, or if ``X`` does not hold counts.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import split_counts
    >>> split = split_counts(np.array([[0, 10], [20, 3]]), 0.5, seed=1)
    >>> (split.train + split.test).toarray().astype(int).tolist()
    [[0, 10], [20, 3]]
    """
    if not 0.0 < fraction < 1.0:
        msg = f"fraction is {fraction:g}; it must lie strictly between 0 and 1."
        raise ValueError(msg)
    counts = as_counts(X)
    kept = np.random.default_rng(seed).binomial(counts.data.astype(np.int64), fraction)
    train = sparse.csr_matrix((kept.astype(np.float64), counts.indices, counts.indptr), shape=counts.shape, copy=True)
    test = sparse.csr_matrix((counts.data - kept, counts.indices, counts.indptr), shape=counts.shape, copy=True)
    train.eliminate_zeros()
    test.eliminate_zeros()
    return CountSplit(train, test)
