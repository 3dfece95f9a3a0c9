"""How far denoised pixels are from the truth: a map that is calibrated on the images themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scif.fields.images._frames import rows_of
from scif.fields.images._objective import make_risk
from scif.fields.images._units import InUnits

__all__ = ["ErrorMap", "calibrate_map"]

_GROUPS = 12
"""Groups of pixels by sensitivity, in each of which the squared error is measured."""
_PROBES = 3
"""Draws of a little more noise, from which the sensitivity is taken."""
_SHARE = 0.1
"""Their variance in units of the noise's."""
_SIDE = 7
"""Side of the square over which the sensitivity is averaged: three draws alone scatter."""
_LEAST = 1.5
"""Least squared error in units of the noise that passes: 1 for a mean over equal weights, 2 over Gaussian weights."""
_FLOOR = 0.01
"""Least variance of the noise, in units of that at the mean brightness: unlit pixels of shot noise have none."""
_FRACTION = 0.95
"""Share of the information that the network sees when the squared error is measured."""
_PIXELS = 100_000
"""Most pixels on which it is measured: enough for a few per cent in each group."""
_AT_ONCE = 40_000
"""Pixels that go through the network at once."""

Estimate = Callable[[Tensor], Tensor]


class ErrorMap(nn.Module):
    r"""The squared error of each denoised pixel, expected from how much noise the network lets through there.

    The network is sensitive to noise where it keeps detail, and errs there. Its sensitivity, the share of the noise's
    variance that passes, :math:`q = \mathrm{Var}[c(y + e)] / \mathrm{Var}[e]`, needs no truth. The squared error in
    units of the noise's variance is a rising function of it, drawn through groups of pixels in which an unbiased risk
    measures that error (:func:`calibrate_map`). It is at least :data:`_LEAST` times :math:`q`, the part that is noise.

    Parameters
    ----------
    channels
        Number of channels, each with a function of its own.
    """

    sensitivity: Tensor
    error: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("sensitivity", torch.zeros(channels, _GROUPS))
        self.register_buffer("error", torch.zeros(channels, _GROUPS))

    @property
    def is_calibrated(self) -> bool:
        """Whether there is a function to apply."""
        return bool(self.error.max() > 0)

    @torch.inference_mode()
    def std(self, model: Estimate, noise: InUnits, x1: Tensor, x0: Tensor) -> Tensor:
        """Standard deviation of ``x0`` around the truth.

        Parameters
        ----------
        model
            One call of the network.
        noise
            The channel in the units of the network.
        x1
            Observations ``(batch, channels, *spatial)``.
        x0
            What they became.
        """
        variance = noise_variance(noise, x0)
        passed = sensitivity(model, noise, x1, x0)
        share = torch.stack([self._share(passed[:, c], c) for c in range(passed.shape[1])], dim=1)
        return (torch.maximum(share, _LEAST * passed) * variance).sqrt()

    def _share(self, passed: Tensor, channel: int) -> Tensor:
        """The function of one channel, linear between the groups."""
        x, y = self.sensitivity[channel], self.error[channel]
        right = torch.bucketize(passed, x).clamp(1, _GROUPS - 1)
        weight = ((passed - x[right - 1]) / (x[right] - x[right - 1]).clamp_min(1e-12)).clamp(0, 1)
        return y[right - 1] + weight * (y[right] - y[right - 1])


@torch.inference_mode()
def calibrate_map(
    errors: ErrorMap,
    model: Callable[..., Tensor],
    whole: Callable[..., Tensor],
    noise: InUnits,
    x1: Tensor,
    **condition: Tensor,
) -> None:
    """Measure the squared error of groups of pixels, and set the functions of a map.

    Parameters
    ----------
    errors
        The map.
    model
        One call of the network.
    whole
        The estimate whose error is measured, a mean over mirror images.
    noise
        The channel in the units of the network.
    x1
        Observations ``(batch, channels, *spatial)``, best such that training has not seen; some are taken.
    **condition
        What both get besides, in as many rows.
    """
    size = x1[0, 0].numel()
    x1 = x1[: max(_PIXELS // size, 1)]
    risk = make_risk(noise, x1, fraction=_FRACTION)
    rng = torch.Generator(x1.device).manual_seed(0)
    passed, ratio = [], []
    step = max(_AT_ONCE // size, 1)
    for start in range(0, len(x1), step):
        some = slice(start, min(start + step, len(x1)))
        rows, others = x1[some], rows_of(condition, some)
        x0 = whole(rows, **others)
        passed.append(sensitivity(partial(model, **others), noise, rows, x0).cpu())
        squared = risk.pointwise(lambda x, t, **more: whole(x, **more), rows, generator=rng, **others)
        ratio.append((squared / noise_variance(noise, x0)).cpu())
    for c in range(x1.shape[1]):
        q, r = (torch.cat(some)[:, c].flatten().double().numpy() for some in (passed, ratio))
        groups = np.array_split(np.argsort(q, kind="stable"), _GROUPS)
        x, y = (np.array([values[group].mean() for group in groups]) for values in (q, r))
        errors.sensitivity[c] = torch.from_numpy(x).to(errors.sensitivity)
        errors.error[c] = torch.from_numpy(np.maximum(_rising(y), 1e-6)).to(errors.error)


def sensitivity(model: Estimate, noise: InUnits, x1: Tensor, x0: Tensor) -> Tensor:
    """Share of the noise's variance that a model lets through, averaged over a few pixels."""
    rng = torch.Generator(x1.device).manual_seed(1)
    mean, passed = noise.moments(x0).mean, torch.zeros_like(x1)
    for _ in range(_PROBES):
        more = _SHARE**0.5 * (noise.sample(x0, generator=rng) - mean)
        passed += ((model(x1 + more) - model(x1 - more)) / 2).square() / (_PROBES * _SHARE)
    planes = (passed / noise_variance(noise, x0)).reshape(-1, 1, *x1.shape[-2:])
    kernel: Any = [min(_SIDE, n // 2 * 2 - 1) if n > 1 else 1 for n in x1.shape[-2:]]
    padding = [n // 2 for n in kernel]
    mean_of = nn.functional.avg_pool2d(planes, kernel, stride=1, padding=padding, count_include_pad=False)
    return mean_of.view(x1.shape)


def noise_variance(noise: InUnits, x0: Tensor) -> Tensor:
    """Variance of the noise on clean signals, with a floor."""
    variance = noise.moments(x0).variance.expand_as(x0)
    floor: Tensor = _FLOOR * noise.moments(torch.zeros_like(x0[:1])).variance
    return torch.maximum(variance, floor.clamp_min(1e-12))


def _rising(values: np.ndarray) -> np.ndarray:
    """The closest rising sequence."""
    from scipy.optimize import isotonic_regression

    rising: np.ndarray = isotonic_regression(values).x
    return rising
