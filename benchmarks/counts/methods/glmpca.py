"""GLM-PCA with a Poisson likelihood (Townes et al., Genome Biology 2019) by the algorithm and package fastglmpca."""

from __future__ import annotations

from collections.abc import Callable

import fastglmpca
import numpy as np
import scipy.sparse as sp
import torch
from benchmarks.counts.methods._scale import library_size, to_library

__all__ = ["fit"]


def fit(counts: sp.csr_matrix, *, seed: int, rank: int = 10, iterations: int = 40) -> Callable[[], np.ndarray]:
    """Fit a bounded number of iterations to the genes that have counts; other genes are expected to have none."""
    seen = np.asarray(counts.sum(axis=0)).ravel() > 0
    rank = min(rank, min(counts.shape) - 1)
    model = fastglmpca.poisson(
        counts[:, seen].astype(np.float32),
        n_pcs=rank,
        max_iter=iterations,
        seed=seed,
        return_model=True,
        progress_bar=False,
    )

    def denoise() -> np.ndarray:
        found = model.reconstruct_counts()
        found = found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
        expected = np.zeros(counts.shape, dtype=np.float32)
        expected[:, seen] = np.nan_to_num(found, posinf=0.0)
        return to_library(expected, library_size(counts))

    return denoise
