"""Fourier neural operator with time conditioning: one set of weights for every resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scif.nn.time import TimeEmbedding

__all__ = ["FNO", "SpectralConv2d"]


class SpectralConv2d(nn.Module):
    """Linear map between channels, one complex matrix per low Fourier mode; higher modes are dropped.

    Parameters
    ----------
    in_channels, out_channels
        Channels before and after.
    modes
        Modes kept along each axis on either side of zero. A field too small to have them all uses those it has.
    """

    def __init__(self, in_channels: int, out_channels: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        # Rows are the modes -modes..modes along y, columns 0..modes along x, the last axis real and imaginary parts.
        shape = (2 * modes + 1, modes + 1, in_channels, out_channels, 2)
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(2 * in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map fields ``(batch, in_channels, height, width)`` of any size."""
        height, width = x.shape[-2:]
        # Strictly below the Nyquist mode, which has no sign.
        my, mx = min(self.modes, (height - 1) // 2), min(self.modes, (width - 1) // 2)
        rows = torch.arange(-my, my + 1, device=x.device)
        weight = torch.view_as_complex(self.weight)[self.modes - my : self.modes + my + 1, : mx + 1]
        low = torch.fft.rfft2(x, norm="forward")[:, :, rows % height, : mx + 1]
        mixed = torch.einsum("biyx,yxio->boyx", low, weight)
        full = mixed.new_zeros(x.shape[0], mixed.shape[1], height, width // 2 + 1)
        full[:, :, rows % height, : mx + 1] = mixed
        return torch.fft.irfft2(full, s=(height, width), norm="forward")


class _Block(nn.Module):
    """Residual step: global convolution plus pointwise map, shifted and scaled by the time, then a pointwise layer."""

    def __init__(self, width: int, modes: int, embedding: int) -> None:
        super().__init__()
        self.spectral = SpectralConv2d(width, width, modes)
        self.local = nn.Conv2d(width, width, 1)
        self.modulate = nn.Linear(embedding, 2 * width)
        self.mix = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        scale, shift = self.modulate(embedded)[:, :, None, None].chunk(2, dim=1)
        return h + self.mix(F.gelu((self.spectral(h) + self.local(h)) * (1 + scale) + shift))


class FNO(nn.Module):
    """Fourier neural operator from periodic fields to periodic fields, conditioned on a time in [0, 1].

    The weights act on Fourier modes and on single points, so a network trained on one grid runs on any other grid and
    commutes with periodic shifts. Its last layer starts at zero.

    Parameters
    ----------
    in_channels
        Channels of the input fields.
    out_channels
        Channels of the output fields.
    width
        Hidden channels.
    modes
        Fourier modes kept along each axis on either side of zero.
    depth
        Number of blocks.
    time_dim
        Length of the time embedding, even.

    References
    ----------
    Li et al., *Fourier neural operator for parametric partial differential equations*, ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from scif.nn.fno import FNO
    >>> net = FNO(width=8, modes=4, depth=2)
    >>> [net(torch.randn(2, 1, n, n), torch.rand(2)).shape[-1] for n in (16, 33)]
    [16, 33]
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        width: int = 32,
        modes: int = 12,
        depth: int = 4,
        time_dim: int = 32,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "width": width, "modes": modes}
        for name, value in {**sizes, "depth": depth}.items():
            if value < 1:
                msg = f"{name} is {value}; it must be at least 1."
                raise ValueError(msg)
        self.in_channels = in_channels
        self.time = nn.Sequential(TimeEmbedding(time_dim), nn.Linear(time_dim, 2 * width), nn.SiLU())
        self.lift = nn.Conv2d(in_channels, width, 1)
        self.blocks = nn.ModuleList(_Block(width, modes, 2 * width) for _ in range(depth))
        last = nn.Conv2d(2 * width, out_channels, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.project = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), last)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map fields ``(batch, in_channels, height, width)`` at times ``(batch,)`` (or one for all).

        Returns
        -------
        Fields ``(batch, out_channels, height, width)``.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            msg = f"x has shape {tuple(x.shape)}; the network takes (batch, {self.in_channels}, height, width)."
            raise ValueError(msg)
        embedded = self.time(t.to(x).expand(x.shape[0]))
        h = self.lift(x)
        for block in self.blocks:
            h = block(h, embedded)
        return self.project(h)
