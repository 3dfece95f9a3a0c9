"""Coarse-to-fine training: a number of time steps that grows."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["GrowingSteps"]


@dataclass(frozen=True)
class GrowingSteps:
    """A number of time steps that doubles in equally long stages, from ``start`` to ``end``.

    With coarse grids, training is fast but shrinks signals; fine grids keep weak signals but have noisy targets.

    Parameters
    ----------
    start
        Number of time steps at the beginning of training.
    end
        Number of time steps once ``over`` training steps have passed.
    over
        Number of training steps over which the grid grows.

    References
    ----------
    Song and Dhariwal, "Improved techniques for training consistency models", ICLR 2024, section 3.4.

    Examples
    --------
    >>> from scif.core.schedule import GrowingSteps
    >>> num_steps = GrowingSteps(start=10, end=80, over=300)
    >>> [num_steps(step) for step in (0, 99, 100, 200, 300, 10_000)]
    [10, 10, 20, 40, 80, 80]
    """

    start: int
    end: int
    over: int

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.end:
            msg = f"start = {self.start} and end = {self.end}; they must satisfy 1 <= start <= end."
            raise ValueError(msg)
        if self.over < 1:
            msg = f"over is {self.over}; the grid must grow over at least one training step."
            raise ValueError(msg)

    def __call__(self, step: int) -> int:
        """The number of time steps at training step ``step`` (from 0)."""
        if step < 0:
            msg = f"step is {step}; training steps count from 0."
            raise ValueError(msg)
        stages = math.ceil(math.log2(self.end / self.start))
        stage = stages * min(step, self.over) // self.over
        return min(self.start * 2**stage, self.end)
