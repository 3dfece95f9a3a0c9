"""Time as a network input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["TimeEmbedding"]


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time in [0, 1], at geometrically spaced frequencies.

    Parameters
    ----------
    dim
        Length of the embedding, even.
    max_frequency
        Highest number of half waves over the interval; the lowest is one half. High frequencies resolve small times,
        but they make the output rough in time and destabilise consistency training.

    Examples
    --------
    >>> import torch
    >>> from scif.nn import TimeEmbedding
    >>> TimeEmbedding(8)(torch.tensor([0.0])).tolist()
    [[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]]
    """

    frequencies: Tensor

    def __init__(self, dim: int, max_frequency: float = 16.0) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            msg = f"dim is {dim}; a time embedding needs an even number of entries."
            raise ValueError(msg)
        half_waves = torch.logspace(math.log10(0.5), math.log10(max_frequency), dim // 2)
        self.register_buffer("frequencies", math.pi * half_waves, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Embed times ``(batch,)`` as ``(batch, dim)``."""
        angles = t.unsqueeze(1) * self.frequencies.to(t.dtype)
        return torch.cat([angles.sin(), angles.cos()], 1)
