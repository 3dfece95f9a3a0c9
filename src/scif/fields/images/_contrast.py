"""Images as a network sees them where their brightness differs by many times the noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scif.core._check import expand_time
from scif.core.scaling import Scaling
from scif.fields.images._seeing import Seeing

__all__ = ["NoiseContrast", "is_bright"]

_BRIGHT = 50.0
"""Spread of the signal, in units of the noise, from which on noise is hard to see beside it. Images
of one brightness have less: up to there the contrast brings them nothing."""
_WINDOWS = (5, 15)
"""Sides of the squares in pixels that local means are taken over: about a detail, and twice the network's reach."""
_CLEAR = 4.0
"""Contrast, in units of the noise, beside which noise is lost: half of what the network says is removed there."""
_EARLIEST = 0.05
"""Times below are taken for this one: at time 0 there is no noise to measure contrast in."""


class NoiseContrast(Seeing):
    r"""Shows a network the contrast to the surroundings in units of the noise, besides the image itself.

    In units of the data, noise of one strength is invisible among frames whose brightness differs a hundredfold. The
    network's further channels are :math:`\mathrm{asinh}((x - \bar x) / (t \sigma))` with means :math:`\bar x` over
    small squares: linear where contrast is as weak as the noise, compressed where it is much stronger. What it removes
    is damped where contrast is so strong that an error would weigh more than the noise.
    """

    inputs = 1 + len(_WINDOWS)

    def forward(self, x: Tensor, t: Tensor, around: Tensor | None = None) -> Tensor:
        """Run the network.

        Parameters
        ----------
        x
            Images ``(batch, channels, *spatial)`` of mean zero and variance one.
        t
            Their times.
        around
            Frames around them ``(batch, frames * channels, *spatial)``, observations in the units of the data.
        """
        t = t.expand(x.shape[0])
        contrasts = self._contrasts(x, t)
        gate = 1 / (1 + local_mean(contrasts[0].square(), _WINDOWS[0]) / _CLEAR**2)
        seen = [x, *(torch.asinh(one) for one in contrasts)]
        if around is None:
            seen += [torch.zeros_like(x)] * (self.frames * self.inputs)
        for frame in () if around is None else around.split(x.shape[1], dim=1):
            now = torch.ones_like(t)
            one = self.scaling.normalize(frame, now)
            seen += [one, *(torch.asinh(contrast) for contrast in self._contrasts(one, now))]
        result: Tensor = gate * self.net(torch.cat(seen, dim=1), t)
        return result

    def _contrasts(self, x: Tensor, t: Tensor) -> list[Tensor]:
        """Differences from local means, in units of the noise."""
        time = expand_time(t, x).clamp_min(_EARLIEST)
        noise = time * self.scaling.noise_scale.to(x.dtype) / self.scaling.spread(t, x)
        return [(x - local_mean(x, side)) / noise for side in _WINDOWS]


def is_bright(scaling: Scaling) -> bool:
    """Whether the signal spreads over so many times the noise that this is lost beside it."""
    return bool((scaling.data_scale > _BRIGHT * scaling.noise_scale).any())


def local_mean(x: Tensor, side: int) -> Tensor:
    """Mean over squares of ``side`` pixels in the plane ``(..., height, width)``, as far as these lie in the image."""
    planes = x.reshape(-1, 1, *x.shape[-2:])
    for kernel in ((side, 1), (1, side)):
        padding = [k // 2 for k in kernel]
        planes = nn.functional.avg_pool2d(planes, kernel, stride=1, padding=padding, count_include_pad=False)
    return planes.view(x.shape)
