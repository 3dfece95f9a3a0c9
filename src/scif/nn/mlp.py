"""A residual network for vectors, conditioned on time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scif.nn.time import TimeEmbedding

__all__ = ["TimeMLP"]


class TimeMLP(nn.Module):
    """A residual network for vectors, modulated by time in every block; zero before training.

    Parameters
    ----------
    dim
        Number of entries of a sample.
    hidden
        Width.
    depth
        Number of residual blocks of two layers.
    time_dim
        Length of the time embedding.
    dropout
        Fraction of hidden units dropped in training.

    Examples
    --------
    >>> import torch
    >>> from scif.nn import TimeMLP
    >>> TimeMLP(2, hidden=32, depth=1)(torch.randn(4, 2), torch.rand(4)).abs().max().item()
    0.0
    """

    def __init__(
        self, dim: int, hidden: int = 128, *, depth: int = 3, time_dim: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if min(dim, hidden, depth) < 1:
            msg = f"dim = {dim}, hidden = {hidden} and depth = {depth} must all be at least 1."
            raise ValueError(msg)
        self.time = nn.Sequential(TimeEmbedding(time_dim), nn.Linear(time_dim, hidden), nn.SiLU())
        self.inlet = nn.Linear(dim, hidden)
        self.blocks = nn.ModuleList(_Block(hidden, dropout) for _ in range(depth))
        self.outlet = nn.Linear(hidden, dim)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Network output ``(batch, dim)`` for samples ``(batch, dim)`` and times ``(batch,)``."""
        if x.ndim != 2 or x.shape[1] != self.inlet.in_features:
            msg = f"x has shape {tuple(x.shape)} but this network takes samples of {self.inlet.in_features} features."
            raise ValueError(msg)
        time = self.time(t)
        hidden = self.inlet(x)
        for block in self.blocks:
            hidden = block(hidden, time)
        out: Tensor = self.outlet(nn.functional.silu(hidden))
        return out


class _Block(nn.Module):
    """Two layers beside a skip connection; time scales and shifts the normalised hidden units."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.modulation = nn.Linear(hidden, 2 * hidden)
        self.layers = nn.Sequential(
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.modulation(time).chunk(2, dim=1)
        modulated: Tensor = torch.addcmul(shift, self.norm(x), 1.0 + scale)
        return x + self.layers(nn.functional.silu(modulated))
