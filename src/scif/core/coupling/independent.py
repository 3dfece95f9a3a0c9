"""Pairs as they come."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core.coupling.base import Coupled, Coupling

__all__ = ["Independent"]


class Independent(Coupling):
    """Independent pairs of data and noise, in the given order.

    Examples
    --------
    >>> import torch
    >>> from scif.core.coupling import Independent
    >>> Independent()(torch.zeros(2, 3)).x1.shape
    torch.Size([2, 3])
    """

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Both batches unchanged."""
        return Coupled(x0, x1)
