"""BiPCA (Stanley et al., 2023) by its own package: counts whitened along cells and genes, singular values shrunk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library

from scif.metrics import pooled_profile

__all__ = ["fit"]

_LEAST = 3  # cells with a gene, genes in a cell: its scaling does not converge with fewer


def fit(counts: sp.csr_matrix, *, seed: int, shrinker: str = "frobenius") -> Callable[[], np.ndarray]:
    """Fit to genes and cells with enough counts; what it is not given is expected as the pooled profile."""
    from bipca import BiPCA

    genes = counts.getnnz(axis=0) >= _LEAST
    cells = counts[:, genes].getnnz(axis=1) >= _LEAST
    part = counts[cells][:, genes].toarray().astype(np.float64)
    model = BiPCA(seed=seed, verbose=0, n_subsamples=1, subsample_size=min(2000, *part.shape), backend="scipy")
    model.fit(part)

    def denoise() -> np.ndarray:
        expected = pooled_profile(counts)
        found = model.transform(counts=True, unscale=True, shrinker=shrinker, library_normalize=False)
        expected[np.ix_(cells, genes)] = np.nan_to_num(np.asarray(found), posinf=0.0)
        return to_library(expected, library_size(counts))

    return denoise
