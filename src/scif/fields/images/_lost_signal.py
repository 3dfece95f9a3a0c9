"""Whether denoising removed signal with the noise, and what to do about a guess that did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scif.core.monitor import residual
from scif.fields.images._axes import ImageStack
from scif.fields.images._channel import Found, of_kind
from scif.fields.images._look import look
from scif.fields.images._restorer import Restorer

__all__ = ["lost_signal", "milder"]

_MOST_REMOVED = 2.0
"""Variance of what is removed, in units of the noise's, from which on something is wrong; a posterior mean has less
than one."""
_MOST_STRUCTURE = 0.1
"""Excess covariance of neighbours in what is removed, over that of the noise and in units of its variance, from which
on it is signal."""


@torch.no_grad()
def lost_signal(restorer: Restorer, x1: Tensor, **condition: Tensor) -> str | None:
    """Evidence that denoising removes more than noise, as text; None if there is none.

    The removed part is judged beside a draw of the channel at the estimates, which has the correlation of the noise.
    """
    noise, ndim = restorer.noise, restorer.noise.scale.ndim - 1
    x1, *others = (one.to(noise.scale.device) for one in (x1, *condition.values()))
    rows = zip(*(one.split(32) for one in (x1, *others)), strict=True)
    parts = [restorer.once(one, **dict(zip(condition, more, strict=True))) for one, *more in rows]
    x0 = noise.to_network(noise.clean(torch.cat(parts)))
    moments = noise.moments(x0)
    ratio = float((x1 - moments.mean).square().mean() / moments.variance.mean())
    if not ratio <= _MOST_REMOVED:
        return f"The removed part has {ratio:.3g} times the variance of the noise, so denoising also removes signal."
    draw = noise.sample(x0, generator=torch.Generator(x0.device).manual_seed(0))
    rests = [residual(one, x0, noise, spatial=ndim) for one in (x1, draw)]
    found, expected = (rest.structure * rest.variance for rest in rests)  # where little is removed, little is lost
    if found - expected > _MOST_STRUCTURE:
        return (
            f"Neighbouring pixels of the removed part have a covariance of {found:.2g} times the noise variance, "
            f"but those of the noise have {expected:.2g}, so denoising also removes signal."
        )
    return None


def milder(found: Found, stacks: Sequence[ImageStack]) -> Found | None:
    """White Gaussian noise as strong as the finest details say, if that is less than what was found."""
    ndim = len(stacks[0].spatial)
    white = of_kind("gaussian", found.calibrations, ndim)
    if type(white.noise) is type(found.noise):
        return None
    planes = [plane for channel in range(stacks[0].channels) for plane in look(stacks, channel)]
    strength = [np.mean([_variance(one, plane, ndim) for plane in planes]) for one in (white, found)]
    return white if strength[0] < strength[1] else None


def _variance(found: Found, plane: NDArray[Any], ndim: int) -> float:
    """Mean variance of the noise in a plane."""
    signal = torch.from_numpy(plane.astype(np.float32)).reshape(1, 1, *[1] * (ndim - 2), *plane.shape)
    clean = found.noise.support_x0.project(signal - torch.as_tensor(found.pedestal))
    return float(found.noise.moments(clean).variance.mean())
