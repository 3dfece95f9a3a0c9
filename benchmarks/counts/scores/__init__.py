"""The scores: one file each, one line each in :data:`SCORES`.

A score takes the denoised counts and the task and returns named numbers, or none where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from benchmarks.counts.scores.depth import depth_recovery
from benchmarks.counts.scores.held_out import held_out
from benchmarks.counts.scores.labels import labels
from benchmarks.counts.scores.null import permuted_null
from benchmarks.counts.scores.open_problems import open_problems
from benchmarks.counts.scores.truth import truth
from benchmarks.counts.scores.variance import gene_variance
from benchmarks.counts.task import Task

__all__ = ["SCORES", "score"]

SCORES: dict[str, tuple[Callable[[np.ndarray, Task], dict[str, float]], ...]] = {
    "held-out": (held_out, open_problems, gene_variance, truth, labels),
    "depth": (held_out, depth_recovery),
    "null": (permuted_null,),
    "null-count": (permuted_null,),
}


def score(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """All scores of a kind of task."""
    return {name: float(value) for part in SCORES[task.kind] for name, value in part(denoised, task).items()}
