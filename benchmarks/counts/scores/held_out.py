"""Poisson negative log-likelihood of the held-out molecules: the score to choose by."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

from scif.metrics import poisson_nll

__all__ = ["held_out"]


def held_out(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """NLL at the depth of the held-out part; what is gained over the pooled profile is worked out in the table."""
    return {"poisson_nll": poisson_nll(denoised, task.test, scale=task.test.sum() / task.train.sum())}
