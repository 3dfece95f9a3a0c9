"""Depth recovery: a twentieth of the molecules is denoised and compared with the other nineteen."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

__all__ = ["depth_recovery"]

_MIN_DEEP = 1.0  # molecules of a gene per deep cell from which the deep profile is a fair reference


def depth_recovery(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Correlation over genes (per cell) and over cells (per gene), and relative error, of log-normalised profiles."""
    deep = task.test.toarray()
    genes = deep.mean(axis=0) >= _MIN_DEEP
    a, b = _logged(denoised)[:, genes], _logged(deep)[:, genes]
    return {
        "depth_cell_correlation": _correlation(a, b, axis=1).mean(),
        "depth_gene_correlation": _correlation(a, b, axis=0).mean(),
        "depth_relative_error": np.linalg.norm(a - b) / np.linalg.norm(b),
    }


def _logged(counts: np.ndarray) -> np.ndarray:
    return np.log1p(counts * (1e4 / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)))


def _correlation(a: np.ndarray, b: np.ndarray, *, axis: int) -> np.ndarray:
    """Pearson correlation along an axis; zero where one side is constant, as the pooled profile is over cells."""
    a, b = a - a.mean(axis=axis, keepdims=True), b - b.mean(axis=axis, keepdims=True)
    norm = np.linalg.norm(a, axis=axis) * np.linalg.norm(b, axis=axis)
    size = np.sqrt(a.shape[axis])
    return np.where(norm > 1e-6 * size, (a * b).sum(axis=axis) / np.maximum(norm, 1e-300), 0.0)
