"""Time grids between the clean (t = 0) and the observed (t = 1) end."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Schedule"]


class Schedule:
    """A rule for placing time steps in [0, 1].

    Subclasses implement :meth:`inner_times`; the ends are always exact. The number of steps acts as a *shrinkage*
    parameter: on a coarse grid the trained maps erase directions with a low signal-to-noise ratio (see
    :func:`scif.core.theory.linear_gaussian_survival`).
    """

    def grid(self, num_steps: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return ascending times ``(num_steps + 1,)`` from exactly 0 to exactly 1.

        Parameters
        ----------
        num_steps
            Number of intervals, at least 1.
        dtype
            Floating point type of the times, which are computed in double precision.

        Raises
        ------
        ValueError
            If ``num_steps`` is below 1, or so large that neighbouring times coincide.
        """
        if num_steps < 1:
            msg = f"num_steps is {num_steps}; a grid needs at least one step."
            raise ValueError(msg)
        inner = self.inner_times(num_steps)
        ends = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        times = torch.cat([ends[0], inner.double(), ends[1]]).to(dtype)
        if not bool((times.diff() > 0).all()):
            msg = f"num_steps is {num_steps}; so many times coincide in this precision: use fewer steps."
            raise ValueError(msg)
        return times

    def inner_times(self, num_steps: int) -> Tensor:
        """The ``num_steps - 1`` ascending times strictly between 0 and 1, in double precision."""
        raise NotImplementedError
