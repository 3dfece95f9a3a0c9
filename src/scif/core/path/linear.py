"""The straight line from the clean to the observed signal."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core.path.affine import Affine, Coefficients

__all__ = ["Linear"]


class Linear(Affine):
    """The straight line ``x_t = (1 - t) x0 + t x1`` with velocity ``u_t = x1 - x0`` (the default path).

    Two points of one line satisfy ``x_s = x_t - (t - s) u_t``.

    Examples
    --------
    >>> import torch
    >>> from scif.core.path import Linear
    >>> point = Linear().sample(torch.zeros(1, 2), torch.tensor([[4.0, 8.0]]), torch.tensor([0.25]))
    >>> point.x_t.tolist(), point.u_t.tolist()
    ([[1.0, 2.0]], [[4.0, 8.0]])
    """

    def coefficients(self, t: Tensor) -> Coefficients:
        """``alpha = 1 - t`` and ``beta = t``."""
        one = torch.ones_like(t)
        return Coefficients(1.0 - t, t, -one, one)
