"""Ablation: the tuned truncated SVD, then what each gene does on its own as a Poisson-gamma posterior mean.

Given the low-rank mean ``mu`` a gene's expression is taken to be gamma with that mean and shape ``alpha``, so that its
posterior mean is ``mu (x + alpha) / (mu + alpha)``. ``alpha`` is fitted per gene on an inner 80/20 thinning by the
negative binomial likelihood of the held-out fifth, together with one pseudo-gene of its neighbours in abundance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._low_rank import low_rank, rank_by_held_out
from benchmarks.counts.methods._scale import library_size, to_library
from scipy.ndimage import uniform_filter1d
from scipy.special import gammaln

from scif.metrics import poisson_nll, pooled_profile, split_counts

__all__ = ["fit", "fit_alpha"]

_ALPHAS = np.geomspace(0.05, 5000.0, 31)
_MIXES = (1e-4, 0.01, 0.02, 0.05, 0.1, 0.2)
_WINDOW = 101  # genes of like abundance that share a trend


def fit(counts: sp.csr_matrix, *, seed: int, mix: float | None = 1e-4) -> Callable[[], np.ndarray]:
    """Fit rank, share of the pooled profile (``mix``; chosen by held-out molecules if ``None``) and ``alpha``."""
    rank = rank_by_held_out(counts, transform="log", seed=seed)
    inner = split_counts(counts, 0.8, seed=20_000 + seed)
    inner_mean = low_rank(inner.train, rank, transform="log").expected(rank)
    inner_pooled = pooled_profile(inner.train)
    if mix is None:
        scores = [poisson_nll(_mixed(inner_mean, inner_pooled, m), inner.test, scale=inner.scale) for m in _MIXES]
        mix = _MIXES[int(np.argmin(scores))]
    alpha = fit_alpha(_mixed(inner_mean, inner_pooled, mix), inner.train, inner.test, inner.scale)
    fitted = low_rank(counts, rank, transform="log")

    def denoise() -> np.ndarray:
        mean = _mixed(fitted.expected(rank), pooled_profile(counts), mix)
        return to_library(mean * ((counts.toarray() + alpha) / (mean + alpha)), library_size(counts))

    return denoise


def _mixed(mean: np.ndarray, pooled: np.ndarray, mix: float) -> np.ndarray:
    """A little of the pooled profile keeps the mean of a gene that was seen anywhere off zero."""
    return (1.0 - mix) * mean + mix * pooled


def fit_alpha(mean: np.ndarray, train: sp.csr_matrix, test: sp.csr_matrix, rate: float) -> np.ndarray:
    """Shape per gene, ``(genes,)``, on a grid, from its own likelihood plus the mean one of its neighbours."""
    mean = mean.astype(np.float32)
    seen, held_out = train.tocoo(), test.tocoo()
    at = (held_out.row, held_out.col)
    observed = np.asarray(train[at]).ravel()
    genes = mean.shape[1]
    loss = np.empty((_ALPHAS.size, genes))
    for i, alpha in enumerate(_ALPHAS):
        # Held-out counts have mean rate * mean * (x + alpha) / (mean + alpha) and shape x + alpha: their ratio is free
        # of x, so that a dense pass is needed for one logarithm only.
        ratio = (rate * mean) / (mean + np.float32(alpha))
        log_sum = np.log1p(ratio)
        loss[i] = alpha * log_sum.sum(axis=0, dtype=np.float64)
        loss[i] += np.bincount(seen.col, weights=seen.data * log_sum[seen.row, seen.col], minlength=genes)
        shape, y = observed + alpha, held_out.data
        gained = gammaln(y + shape) - gammaln(shape) + y * (np.log(ratio[at] + 1e-30) - log_sum[at])
        loss[i] -= np.bincount(held_out.col, weights=gained, minlength=genes)
    order = np.argsort(np.asarray(train.sum(axis=0)).ravel(), kind="stable")
    trend = np.empty_like(loss)
    trend[:, order] = uniform_filter1d(loss[:, order], _WINDOW, axis=1, mode="nearest")
    return _ALPHAS[np.argmin(loss + trend, axis=0)]
