"""From what a user says about the noise to a channel in the units of the images."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scif.core.domain import Domain
from scif.core.noise import (
    CorrelatedGaussian,
    Gaussian,
    NoiseModel,
    Poisson,
    PoissonGaussian,
    find_channel,
)
from scif.fields.images._axes import ImageStack
from scif.fields.images._look import BLOCKS, SCENE, look, look_at_noise
from scif.fields.images.calibration import Calibration, calibrate
from scif.fields.images.calibration._planes import as_planes
from scif.fields.images.calibration.auto import KINDS, calibrate_planes, clear_gain

__all__ = ["Found", "check_noise", "find_noise", "flip_axes", "full_scale", "measure_noise", "of_kind"]


_SAME_GAIN = 1.6
"""Ratio of gains from which on images were not taken, or not saved, with one: texture feigns up to 1.3."""


@dataclass(frozen=True)
class Found:
    """The noise channel of images: what comes out of ``noise``, added to ``pedestal``, gives the pixels.

    ``calibrations`` holds what was measured, one for each channel, if anything was.
    """

    noise: NoiseModel
    pedestal: Tensor | float = 0.0
    calibrations: list[Calibration] = field(default_factory=list)


def find_noise(noise: NoiseModel | str, stacks: Sequence[ImageStack]) -> Found:
    """The channel that a user named, measured where its parameters were not given.

    Parameters
    ----------
    noise
        A channel in pixel values, the name of a kind or of a registered channel that measures itself
        (:meth:`NoiseModel.measure`), or ``"auto"``.
    stacks
        The images.

    Warns
    -----
    UserWarning
        With ``"auto"``: what was found, since that is a guess.
    """
    if isinstance(noise, NoiseModel):
        return _given(noise, len(stacks[0].spatial))
    check_noise(noise)
    if noise not in ("auto", *KINDS):
        return _by_name(noise, stacks)
    measured = [_measured(stacks, channel, noise) for channel in range(stacks[0].channels)]
    if noise != "auto":
        _refuse_different_gains(noise, stacks)
        return of_kind(noise, measured, len(stacks[0].spatial))
    kinds = [one.kind for one in measured]
    kind = max(kinds, key=lambda one: (kinds.count(one), KINDS.index(one)))
    _refuse_different_gains(kind, stacks)
    said = "; ".join(one.describe(kind) for one in measured)
    warnings.warn(f"noise='auto' found {said}. Pass noise=... if you know better.", stacklevel=4)
    return of_kind(kind, measured, len(stacks[0].spatial))


def _measured(stacks: Sequence[ImageStack], channel: int, noise: str) -> Calibration:
    """Calibration by differences of frames; by frames themselves if the differences do not show the gain asked for."""
    found = measure_noise(stacks, channel)
    camera = found.poisson_gaussian
    if noise.startswith("poisson") and (camera is None or camera.gain <= 0):
        return calibrate(look(stacks, channel))
    return found


def measure_noise(stacks: Sequence[ImageStack], channel: int, *, offset: float | None = None) -> Calibration:
    """Calibration of one channel of images, by differences of frames where there are any."""
    planes, bright = (as_planes(look_at_noise(stacks, channel, smooth=width)) for width in (SCENE, BLOCKS))
    return calibrate_planes(planes, bright, offset=offset)


def check_noise(noise: Any) -> None:
    """Raise unless noise is a channel or a name: of a kind that can be measured, or of a registered channel."""
    named = isinstance(noise, str)
    if isinstance(noise, NoiseModel) or (named and (noise in ("auto", *KINDS) or find_channel(noise) is not None)):
        return
    known = ", ".join(("auto", *KINDS))
    msg = (
        f"noise is {noise!r}; measure it with one of {known}, pass a channel with its parameters, such as "
        "scif.core.noise.Gamma(10.0), or register an own class: scif.core.register_channel(name, class)."
    )
    raise (ValueError if named else TypeError)(msg)


def _refuse_different_gains(kind: str, stacks: Sequence[ImageStack], *, most: int = 8) -> None:
    """One gain for images that were scaled apart would be wrong for all of them."""
    if not kind.startswith("poisson") or len(stacks) < 2:
        return
    chosen = np.unique(np.linspace(0, len(stacks) - 1, most).round().astype(int))
    gains = {int(k): gain for k in chosen if (gain := clear_gain(look([stacks[k]], 0, planes=4))) is not None}
    if len(gains) < 2 or max(gains.values()) < _SAME_GAIN * min(gains.values()):
        return
    said = ", ".join(f"{gain:.3g} (image {k})" for k, gain in gains.items())
    msg = (
        f"the images have different gains: {said}, so no single noise={kind!r} fits them. Divide each by its own, "
        "image / calibrate(image).poisson_gaussian.gain, after subtracting the camera's offset; or fit a denoiser each."
    )
    raise ValueError(msg)


def flip_axes(noise: NoiseModel, ndim: int) -> tuple[int, ...]:
    """Spatial axes along which an image and its mirror image have the same noise."""
    axes = noise.mirror_axes(ndim)
    if not axes and noise.elementwise is None:
        warnings.warn(
            f"{type(noise).__name__} does not say whether it acts on each pixel by itself, so that images are not "
            "mirrored in training and not averaged over their mirror images. Set `elementwise = True` (or False) in "
            "the class, or define mirror_axes().",
            stacklevel=4,
        )
    return axes


def full_scale(noise: NoiseModel, dtype: np.dtype[Any]) -> float:
    """The pixel value that is one to the channel: the largest of an integer type, if the channel lives below one."""
    return float(np.iinfo(dtype).max) if noise.support_x1 is Domain.UNIT and dtype.kind in "iu" else 1.0


def _given(noise: NoiseModel, ndim: int) -> Found:
    """The channel that the user made, with the camera's offset, which stays in the images, taken out."""
    if varying := noise.varying_parameters(ndim):
        name, shape = next(iter(varying.items()))
        msg = (
            f"{name} of the noise has shape {tuple(shape)}; training on crops needs one value, or one for each channel "
            f"as (channels, {', '.join('1' * ndim)})."
        )
        raise ValueError(msg)
    channel, pedestal = noise.without_offset()
    return Found(copy.deepcopy(channel), pedestal)  # it will move with the network, and the user's own must not


def _by_name(name: str, stacks: Sequence[ImageStack]) -> Found:
    """A registered channel that measures its own parameters, one value for each channel of the images."""
    kind, ndim = find_channel(name), len(stacks[0].spatial)
    assert kind is not None  # by check_noise
    if kind.measure.__func__ is NoiseModel.measure.__func__:  # type: ignore[attr-defined]
        return _given(_by_default(name, kind), ndim)
    parts = [dict(kind.measure(look(stacks, channel))) for channel in range(stacks[0].channels)]
    return _given(kind(**{one: _column([part[one] for part in parts], ndim) for one in parts[0]}), ndim)


def _by_default(name: str, kind: type[NoiseModel]) -> NoiseModel:
    """A channel that is not measured in images, with the default parameters of its class."""
    try:
        channel = kind()
    except TypeError as error:
        msg = (
            f"noise is {name!r}, but {kind.__name__} has parameters but no classmethod measure(images) to measure "
            f"them in noisy images ({error}); pass the channel itself, as in noise_channel({name!r}, ...)."
        )
        raise ValueError(msg) from error
    if channel.arguments():
        warnings.warn(f"noise={name!r} is taken as {channel!r}: pass a channel if you know better.", stacklevel=6)
    return channel


def _column(values: Sequence[float], ndim: int) -> Tensor:
    """One value, or one for each channel, in a shape that broadcasts against images."""
    return torch.tensor(values[0]) if len(values) == 1 else torch.tensor(values).reshape(-1, *[1] * ndim)


def of_kind(kind: str, measured: list[Calibration], ndim: int) -> Found:
    """The channel of a kind with the parameters that were measured."""
    if kind == "gaussian":
        return Found(Gaussian(_column([one.gaussian.sigma for one in measured], ndim)), calibrations=measured)
    if kind == "correlated_gaussian":
        parts = [one.correlated for one in measured if one.correlated is not None]
        if len(parts) < len(measured):
            msg = "the images are too small to measure the correlation of their noise; pass a CorrelatedGaussian."
            raise ValueError(msg)
        kernel = np.mean([part.kernel() for part in parts], axis=0)
        sigma = _column([part.sigma for part in parts], ndim)
        return Found(CorrelatedGaussian(torch.tensor(kernel, dtype=torch.float32), sigma), calibrations=measured)
    cameras = [one.poisson_gaussian for one in measured if one.poisson_gaussian is not None]
    if len(cameras) < len(measured) or min(camera.gain for camera in cameras) <= 0:
        msg = f"the variance does not grow with the brightness: noise={kind!r} cannot be measured; pass a channel."
        raise ValueError(msg)
    gain = _column([camera.gain for camera in cameras], ndim)
    if kind == "poisson":
        return Found(Poisson(gain), calibrations=measured)
    read_noise = _column([max(camera.read_noise, 0.05 * camera.gain) for camera in cameras], ndim)
    pedestal = _column([camera.offset for camera in cameras], ndim)
    return Found(PoissonGaussian(gain, read_noise), pedestal=pedestal, calibrations=measured)
