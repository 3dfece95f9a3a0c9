"""Measuring what a report says."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scif.fields.images._axes import ImageStack
from scif.fields.images._channel import full_scale
from scif.fields.images._filters import FILTERS, as_model
from scif.fields.images._frames import read_frames
from scif.fields.images._objective import make_risk
from scif.fields.images._report import ImageReport
from scif.fields.images._restorer import Restorer
from scif.fields.images._risk import Model, has_exact_split
from scif.fields.images.calibration import calibrate_gaussian, calibrate_poisson_gaussian
from scif.fields.images.metrics import RingCorrelation, fourier_ring_correlation

__all__ = ["make_report"]

_CROPS = 8
"""Crops that are looked at."""
_SIDE = 192
"""Their longest side in pixels; together enough for a risk within a few per cent."""
_PLANES = 4
"""Planes of a crop of a volume."""
_FRACTION = 0.95
"""Share of the information that a method sees when its risk is measured: all methods have 5% more noise variance."""
_LAGS = 8
"""Largest lag of the autocorrelation in pixels."""


def make_report(restorer: Restorer, stacks: Sequence[ImageStack], *, channel: int, frames: int = 0) -> ImageReport:
    """Judge a trained network on images.

    Parameters
    ----------
    restorer
        The network with its channel and units.
    stacks
        The images, with the channels that the network takes.
    channel
        Which of these channels to report on.
    frames
        Frames on either side that the network sees.
    """
    restorer = copy.deepcopy(restorer).cpu().eval()
    seen = _crops(stacks, frames)
    pixels = seen[:, : stacks[0].channels]
    full = full_scale(restorer.noise.noise, pixels.dtype)
    after = restorer.restore(seen, augment=True)
    others = restorer.batch(seen)
    x1 = others.pop("x1")
    model = partial(restorer.model, **others)
    x0 = restorer.noise.to_network((torch.from_numpy(after) - restorer.pedestal) / full)
    scale = float((restorer.noise.scale * full).expand(x1.shape[1:])[channel].flatten()[0])
    z = _standardised(restorer, x1, x0)[:, channel]
    before = pixels.astype(np.float64)[:, channel].reshape(-1, *pixels.shape[-2:])
    means, variances, assumed = _calibration(restorer, before, channel, full)
    halves, rings = _rings(restorer, model, x1, x0, channel)
    middle = len(before) // len(pixels) // 2
    return ImageReport(
        noise=_described(restorer, channel),
        risk=_risks(restorer, model, x1, channel, scale),
        removed_mean=float(z.mean()),
        removed_variance=float(z.square().mean()),
        autocorrelation=_autocorrelation(z.reshape(-1, *z.shape[-2:]).double().numpy()),
        rings_before=rings[0],
        rings_after=rings[1],
        halves=halves,
        means=means,
        variances=variances,
        assumed=assumed,
        before=before[middle],
        after=after[0, channel].reshape(-1, *after.shape[-2:])[middle].astype(np.float64),
    )


def _crops(stacks: Sequence[ImageStack], frames: int) -> NDArray[np.generic]:
    """Central crops of images spread over all of them, with the frames around: ``(crops, channels, *spatial)``."""
    places = [(stack, index) for stack in stacks for index in range(len(stack))]
    chosen = np.unique(np.linspace(0, len(places) - 1, _CROPS).round().astype(int))
    least = np.min([stack.spatial for stack in stacks], axis=0)
    most = (_PLANES, _SIDE, _SIDE)[-len(least) :]
    sides = [min(int(n), side) for n, side in zip(least, most, strict=True)]
    crops = []
    for stack, index in (places[k] for k in chosen):
        starts = [(n - side) // 2 for n, side in zip(stack.spatial, sides, strict=True)]
        region = [slice(at, at + side) for at, side in zip(starts, sides, strict=True)]
        crops.append(read_frames(stack, index, region, count=frames))
    return np.stack(crops)


@torch.inference_mode()
def _risks(restorer: Restorer, model: Model, x1: Tensor, channel: int, scale: float) -> dict[str, float]:
    """Estimated mean squared error of the network, of doing nothing and of each filter at its best strength."""
    objective = make_risk(restorer.noise, x1, fraction=_FRACTION)
    sigma = float(restorer.noise.moments(x1).variance[:, channel].mean().sqrt())

    def risk(one: Model) -> float:
        generator = torch.Generator().manual_seed(0)  # the same draws for every method
        return float(objective.pointwise(one, x1, generator=generator)[:, channel].mean()) * scale**2

    risks = {"nothing": risk(lambda x, t: x)}
    for name, (filtered, strengths) in FILTERS.items():
        risks[name] = min(risk(as_model(filtered, sigma, strength)) for strength in strengths)
    return risks | {"scif": risk(model)}


def _standardised(restorer: Restorer, x1: Tensor, x0: Tensor) -> Tensor:
    """Removed part, in standard deviations of the noise."""
    moments = restorer.noise.moments(x0)
    floor = 1e-6 * moments.variance.mean()
    return (x1 - moments.mean) / moments.variance.clamp_min(floor).sqrt()


def _autocorrelation(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean autocorrelation of planes up to a few pixels of lag, one in the middle."""
    height, width = planes.shape[-2:]
    lags = min(_LAGS, height - 1, width - 1)
    padded = (2 * height, 2 * width)
    power = np.abs(np.fft.rfft2(planes - planes.mean(), s=padded)) ** 2
    sums = np.fft.irfft2(power.mean(axis=0), s=padded)
    index = np.arange(-lags, lags + 1)
    overlap = (height - np.abs(index))[:, None] * (width - np.abs(index))[None, :]
    covariance = sums[np.ix_(index, index)] / overlap
    return np.asarray(covariance / max(covariance[lags, lags], 1e-300))


def _pedestal(restorer: Restorer, channel: int) -> float:
    return float(restorer.pedestal.expand(restorer.noise.scale.shape)[channel].flatten()[0])


def _described(restorer: Restorer, channel: int) -> str:
    """The noise channel as text; the network never sees the camera's offset, so that its channel has none."""
    pedestal = _pedestal(restorer, channel)
    after = f" after subtraction of the offset {pedestal:.4g}" if pedestal else ""
    return f"{restorer.noise.noise!r}{after}"


def _calibration(
    restorer: Restorer, planes: NDArray[np.float64], channel: int, full: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Brightness and variance of groups of pixels, and the variance that the channel has at this brightness."""
    try:
        found = calibrate_poisson_gaussian(planes)
        means, variances = found.means, found.variances
    except ValueError:  # too few pixels, or one brightness: one group
        means = np.array([planes.mean()])
        variances = np.array([calibrate_gaussian(planes).sigma ** 2])
    pedestal = _pedestal(restorer, channel)
    channel_noise = restorer.noise.noise
    levels = torch.tensor((means - pedestal) / full, dtype=torch.float32)
    shape = (1, restorer.noise.scale.shape[0], *[1] * (restorer.noise.scale.ndim - 2), len(means))
    x0 = channel_noise.support_x0.project(levels.expand(shape))
    variance = channel_noise.moments(x0).variance[0, channel].reshape(-1).double().numpy()
    return means, variances, variance * full**2


@torch.inference_mode()
def _rings(
    restorer: Restorer, model: Model, x1: Tensor, x0: Tensor, channel: int
) -> tuple[str, tuple[RingCorrelation, RingCorrelation]]:
    """Ring correlation of two halves, and of one half denoised with the other as it is."""
    rng = torch.Generator().manual_seed(1)
    if has_exact_split(restorer.noise, x1):
        how, parts = "a split", restorer.noise.split(x1, 0.5, generator=rng)
        first, second = 2 * parts.a, 2 * parts.b
    else:
        how, strength = "added noise", restorer.noise.moments(x0).variance.sqrt()
        more = strength * torch.randn(x1.shape, generator=rng)
        first, second = x1 + more, x1 - more
    denoised = model(first, 1.0)
    curves = [
        [fourier_ring_correlation(_planes(a, channel)[k], _planes(second, channel)[k]) for k in range(len(x1))]
        for a in (first, denoised)
    ]
    before, after = (
        RingCorrelation(some[0].frequency, np.mean([one.correlation for one in some], axis=0)) for some in curves
    )
    return how, (before, after)


def _planes(x: Tensor, channel: int) -> NDArray[np.float64]:
    """One plane of each crop."""
    planes = x[:, channel].double().numpy()
    return planes if planes.ndim == 3 else planes[:, planes.shape[1] // 2]
