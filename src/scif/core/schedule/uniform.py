"""Equal time steps."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core.schedule.base import Schedule

__all__ = ["Uniform"]


class Uniform(Schedule):
    """Equal time steps.

    Examples
    --------
    >>> from scif.core.schedule import Uniform
    >>> Uniform().grid(4).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """

    def inner_times(self, num_steps: int) -> Tensor:
        """Multiples of ``1 / num_steps``."""
        return torch.arange(1, num_steps, dtype=torch.float64) / num_steps
