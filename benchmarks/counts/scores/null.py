"""Over-smoothing: genes whose counts were shuffled over the cells have to stay uncorrelated with all others."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

from scif.metrics import mean_absolute_correlation

__all__ = ["permuted_null"]


def permuted_null(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Mean absolute correlation of shuffled with other genes after denoising, and its excess over the observed."""
    after = mean_absolute_correlation(denoised, task.null_genes)
    before = mean_absolute_correlation(task.train, task.null_genes)
    return {"null_correlation": after, "null_excess": after - before}
