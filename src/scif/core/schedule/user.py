"""A grid given by the user."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scif.core.schedule.base import Schedule

__all__ = ["UserGrid"]


class UserGrid(Schedule):
    """A fixed grid, such as one chosen by :func:`~scif.core.schedule.fit_grid`.

    Parameters
    ----------
    times
        Ascending times from 0 to 1.

    Raises
    ------
    ValueError
        If the times do not ascend from exactly 0 to exactly 1.

    Examples
    --------
    >>> from scif.core.schedule import UserGrid
    >>> UserGrid([0.0, 0.25, 1.0]).grid(2).tolist()
    [0.0, 0.25, 1.0]
    """

    def __init__(self, times: Sequence[float] | Tensor) -> None:
        grid = torch.as_tensor(times, dtype=torch.float64).detach().cpu()
        if grid.ndim != 1 or grid.shape[0] < 2 or not bool((grid.diff() > 0).all()):
            msg = f"times are {grid.tolist()}; pass at least two strictly ascending times."
            raise ValueError(msg)
        if grid[0] != 0.0 or grid[-1] != 1.0:
            msg = f"times run from {grid[0]:g} to {grid[-1]:g}; they must run from 0 (clean) to 1 (observed)."
            raise ValueError(msg)
        self.times = grid

    @property
    def num_steps(self) -> int:
        """Number of intervals of the grid."""
        return self.times.shape[0] - 1

    def inner_times(self, num_steps: int) -> Tensor:
        """The times without both ends; the number of steps must be that of the grid."""
        if num_steps != self.num_steps:
            msg = f"num_steps is {num_steps} but this grid has {self.num_steps} steps; ask for {self.num_steps}."
            raise ValueError(msg)
        return self.times[1:-1]
