"""A time-conditioned U-Net for 2-D and 3-D fields of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scif.nn.reflect import reflect_indices
from scif.nn.time import TimeEmbedding

__all__ = ["UNet"]


class UNet(nn.Module):
    """Residual U-Net ``(x, t) -> x``, for any height and width (and depth), in 2-D or 3-D.

    There is no normalisation layer: statistics of a crop differ from those of the whole image, so training on crops and
    running on tiles would not agree. Every layer sees only a neighbourhood. Shifting the input by a multiple of
    :attr:`multiple` shifts the output, and tiles that overlap by :attr:`receptive_field` join without a seam. The last
    layer starts at zero, so an untrained network returns zeros.

    Parameters
    ----------
    channels_in
        Number of input channels.
    channels_out
        Number of output channels; default ``channels_in``.
    ndim
        Number of spatial axes, 2 or 3.
    widths
        Channels of each resolution, finest first.
    blocks
        Residual blocks per resolution, on the way down and again on the way up.
    factor
        Downsampling between resolutions, one number or one per spatial axis; ``(1, 2, 2)`` does not downsample between
        the planes of a stack.
    time_dim
        Length of the time embedding, even.

    Examples
    --------
    >>> net = UNet(1, widths=(8, 16))
    >>> net(torch.zeros(2, 1, 13, 31), torch.ones(2)).shape
    torch.Size([2, 1, 13, 31])
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int | None = None,
        *,
        ndim: int = 2,
        widths: Sequence[int] = (32, 64, 128),
        blocks: int = 1,
        factor: int | Sequence[int] = 2,
        time_dim: int = 32,
    ) -> None:
        super().__init__()
        if ndim not in (2, 3):
            msg = f"ndim is {ndim}; the U-Net works on 2 or 3 spatial axes."
            raise ValueError(msg)
        if not widths or min(widths) < 1 or blocks < 1:
            msg = f"widths is {tuple(widths)} and blocks {blocks}; give at least one width and one block, all positive."
            raise ValueError(msg)
        self.ndim, self.channels_in = ndim, channels_in
        self.factor = (factor,) * ndim if isinstance(factor, int) else tuple(factor)
        if len(self.factor) != ndim or min(self.factor) < 1:
            msg = f"factor is {factor}; give one positive number, or one for each of the {ndim} spatial axes."
            raise ValueError(msg)
        self.widths, self.blocks = tuple(widths), blocks
        conv = nn.Conv2d if ndim == 2 else nn.Conv3d
        up = nn.ConvTranspose2d if ndim == 2 else nn.ConvTranspose3d

        def stage(width: int) -> nn.ModuleList:
            return nn.ModuleList(_Block(width, time_dim, conv) for _ in range(blocks))

        self.time = nn.Sequential(TimeEmbedding(time_dim), nn.Linear(time_dim, time_dim), nn.SiLU())
        self.first = conv(channels_in, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(stage(width) for width in widths)
        self.decode = nn.ModuleList(stage(width) for width in reversed(widths[:-1]))
        steps = list(zip(widths, widths[1:], strict=False))
        stride: Any = self.factor  # of length ndim, which its type does not say
        self.down = nn.ModuleList(conv(a, b, stride, stride=stride) for a, b in steps)
        self.up = nn.ModuleList(up(b, a, stride, stride=stride) for a, b in reversed(steps))
        self.last = conv(widths[0], channels_out or channels_in, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    @property
    def multiple(self) -> tuple[int, ...]:
        """Period of the network's grid along each spatial axis: sizes are padded to it, and shifts by it are exact."""
        return tuple(f ** (len(self.widths) - 1) for f in self.factor)

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """Number of entries along each spatial axis, on either side, that influence an output entry."""
        deepest = len(self.widths) - 1
        return tuple(
            2
            + sum(f**level * 2 * self.blocks * (1 if level == deepest else 2) for level in range(deepest + 1))
            + f**deepest
            - 1
            for f in self.factor
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Run the network.

        Parameters
        ----------
        x
            Input, ``(batch, channels_in, *spatial)``.
        t
            Times in [0, 1], ``(batch,)`` or one for all.

        Returns
        -------
        Output, ``(batch, channels_out, *spatial)``, with real values.
        """
        if x.ndim != self.ndim + 2 or x.shape[1] != self.channels_in:
            axes = "(batch, channels, height, width)" if self.ndim == 2 else "(batch, channels, depth, height, width)"
            msg = f"x has shape {tuple(x.shape)}; the network takes {axes} with {self.channels_in} channels."
            raise ValueError(msg)
        size = x.shape[2:]
        h = self.first(self._pad(x).to(memory_format=_MEMORY_FORMAT[self.ndim]))
        embedding = self.time(t.to(h.dtype).expand(x.shape[0]))
        skips: list[Tensor] = []
        for level, stage in enumerate(self.encode):
            if level:
                skips.append(h)
                h = self.down[level - 1](h)
            h = _through(stage, h, embedding)
        for up, stage in zip(self.up, self.decode, strict=True):
            h = _through(stage, up(h) + skips.pop(), embedding)
        return self.last(h)[(..., *(slice(n) for n in size))]

    def _pad(self, x: Tensor) -> Tensor:
        """Mirror the far end of each spatial axis up to the next multiple of the network's grid."""
        for axis, (n, multiple) in enumerate(zip(x.shape[2:], self.multiple, strict=True), start=2):
            if n % multiple:
                padded = math.ceil(n / multiple) * multiple
                x = x.index_select(axis, torch.as_tensor(reflect_indices(0, padded, n), device=x.device))
        return x


def _through(stage: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
    """Apply the blocks of one resolution."""
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        h = block(h, embedding)
    return h


class _Block(nn.Module):
    """Two convolutions whose middle is scaled and shifted by the time, added to the input."""

    def __init__(self, width: int, time_dim: int, conv: type[nn.Conv2d] | type[nn.Conv3d]) -> None:
        super().__init__()
        self.first = conv(width, width, 3, padding=1)
        self.second = conv(width, width, 3, padding=1)
        self.modulate = nn.Linear(time_dim, 2 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        shape = (h.shape[0], -1, *([1] * (h.ndim - 2)))
        scale, shift = self.modulate(embedding).view(shape).chunk(2, dim=1)
        return h + self.second(torch.relu(self.first(h) * (1 + scale) + shift))


_MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}  # about twice as fast as contiguous on a CPU
