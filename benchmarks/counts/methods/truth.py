"""The expected counts that simulated data were drawn from: no method can be expected to predict better."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.methods._scale import library_size, to_library
from benchmarks.counts.task import Task

__all__ = ["expected"]


def expected(task: Task) -> np.ndarray | None:
    """The truth at the depth of the training counts, where there is one and something is held out to predict."""
    if task.truth is None or task.kind != "held-out":
        return None
    return to_library(task.truth, library_size(task.train))
