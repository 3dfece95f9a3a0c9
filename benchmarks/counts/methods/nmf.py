"""Poisson non-negative matrix factorisation: scikit-learn's, by the Kullback-Leibler divergence of the raw counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

__all__ = ["fit"]


def fit(counts: sp.csr_matrix, *, seed: int, rank: int = 10, iterations: int = 150) -> Callable[[], np.ndarray]:
    """Factorise by multiplicative updates; the cells' factors carry their library size."""
    rank = min(rank, min(counts.shape) - 1)
    model = NMF(rank, beta_loss="kullback-leibler", solver="mu", init="nndsvda", max_iter=iterations, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = model.fit_transform(counts.astype(np.float32))
    return lambda: to_library(weights @ model.components_, library_size(counts))
