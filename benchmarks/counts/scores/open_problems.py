"""The two scores of the Open Problems denoising task as released, for comparison with its tables only."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

from scif.metrics import open_problems_mse, open_problems_poisson

__all__ = ["open_problems"]


def open_problems(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Its MSE rewards over-sharpening and its Poisson loss has its arguments exchanged: never tuned on."""
    scale = task.test.sum() / task.train.sum()
    return {
        "open_problems_mse": open_problems_mse(denoised, task.test),
        "open_problems_poisson": open_problems_poisson(denoised, task.test, scale=scale),
    }
