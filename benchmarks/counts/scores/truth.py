"""Distance from the expected counts that simulated data were drawn from."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task
from sklearn.utils.extmath import randomized_svd

from scif.metrics import composition_error, gene_correlation_error, variance_kept

__all__ = ["component_variances", "truth"]

_COMPONENTS = 20


def truth(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Composition, gene-gene correlation, variance between and within types, variance along the true components."""
    if task.truth is None:
        return {}
    scores = {
        "composition_error": composition_error(denoised, task.truth).mean(),
        "gene_correlation_error": gene_correlation_error(denoised, task.truth),
    }
    if task.labels is not None:
        kept = variance_kept(denoised, task.truth, task.labels)
        scores |= {"variance_between": kept.between, "variance_within": kept.within}
    ratio = component_variances(denoised, task.truth)
    scores |= {"pc_variance_min": ratio.min(), "pc_variance_max": ratio.max()}
    scores["pc_within_tenth"] = int((np.abs(ratio - 1) <= 0.1).sum())
    scores |= {f"pc{i + 1}_variance": value for i, value in enumerate(ratio)}
    return scores


def component_variances(denoised: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Denoised over true variance along each of the first principal components of the truth, 1 being ideal."""
    values, reference = _logged(denoised), _logged(expected)
    axes = randomized_svd(reference, n_components=_COMPONENTS, random_state=0)[2]
    return (values @ axes.T).var(axis=0) / (reference @ axes.T).var(axis=0)


def _logged(counts: np.ndarray) -> np.ndarray:
    """Centred ``log1p`` of 10,000-normalised expected counts."""
    values = np.log1p(counts * (1e4 / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)))
    return values - values.mean(axis=0)
