"""Over-smoothing: genes whose counts were shuffled over the cells have to stay uncorrelated with all others."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

from scif.metrics import mean_absolute_correlation

__all__ = ["permuted_null"]


def permuted_null(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Mean absolute correlation of shuffled with other genes, what denoising added to it, and the variance it is of.

    A correlation says nothing of size: a gene whose denoised values hardly vary can correlate and mislead nobody, so
    the shuffled genes' variance is reported beside it, as a share of their observed variance.
    """
    after = mean_absolute_correlation(denoised, task.null_genes)
    before = mean_absolute_correlation(task.train, task.null_genes)
    share = _variance(denoised, task.null_genes) / _variance(task.train.toarray(), task.null_genes)
    return {"null_correlation": after, "null_excess": after - before, "null_variance": share}


def _variance(counts: np.ndarray, genes: np.ndarray) -> float:
    """Summed variance over cells of ``log1p`` of 10,000-normalised counts."""
    values = np.log1p(counts[:, genes] * (1e4 / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)))
    return float(values.var(axis=0).sum())
