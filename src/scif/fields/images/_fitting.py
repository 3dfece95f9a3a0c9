"""From noisy images to a trained network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from scif.core import ConsistencyFunction, Objective
from scif.core.noise import NoiseModel
from scif.fields.images._axes import ImageStack
from scif.fields.images._channel import Found, find_noise, flip_axes, full_scale
from scif.fields.images._contrast import is_bright
from scif.fields.images._frames import rows_of
from scif.fields.images._held_out import reserve
from scif.fields.images._look import look
from scif.fields.images._lost_signal import lost_signal, milder
from scif.fields.images._measured import measured, measured_boxes
from scif.fields.images._patches import Patches, crop_sides
from scif.fields.images._restorer import Restorer
from scif.fields.images._settings import Settings
from scif.fields.images._train import CHECKS, train
from scif.fields.images._training import Training, default_steps
from scif.fields.images._units import InUnits

__all__ = ["Fitted", "fit_restorer", "statistics"]

_LOOKED_AT = 2_500_000
"""Pixels of the random crops from which scales and the skewness of the noise are taken; this scatters by 2 %."""
_TIMES = 16
"""Times that each pixel of small images is looked at: more crops of the same few pixels tell nothing new."""
_JUDGED = 256
"""Crops on which training is judged."""


@dataclass(frozen=True)
class Fitted:
    """A trained network, what is known of the noise, and the logged values by epoch."""

    restorer: Restorer
    found: Found
    history: dict[str, list[float]]
    interrupted: bool = False
    lost: str | None = None
    """Evidence that signal was removed with the noise; None if there is none."""


def fit_restorer(
    stacks: Sequence[ImageStack],
    noise: NoiseModel | str,
    settings: Settings,
    make_objective: Callable[[InUnits, Tensor], Objective],
    training: Training,
    *,
    part: int = 0,
) -> Fitted:
    """Find the noise of images that share a network, and train the network; ``part`` counts networks.

    Warns
    -----
    UserWarning
        If what denoising removes carries signal. With ``noise="auto"`` the network is trained anew for a channel that
        removes less, if there is one.
    """
    stacks = measured(stacks)
    found = find_noise(noise, stacks)
    fitted = _fit(stacks, found, settings, make_objective, training, part=str(part))
    if fitted.lost is None:
        return fitted
    less = milder(found, stacks) if noise == "auto" else None
    if less is None:
        warnings.warn(f"{fitted.lost} {_MEND}", UserWarning, stacklevel=3)
        return fitted
    warnings.warn(
        f"{fitted.lost} noise='auto' falls back from {found.noise!r} to {less.noise!r}. Pass noise=... if you know "
        "better.",
        UserWarning,
        stacklevel=3,
    )
    again = _fit(stacks, less, settings, make_objective, training, part=f"{part}-milder")
    if again.lost is not None:
        warnings.warn(f"{again.lost} {_MEND}", UserWarning, stacklevel=3)
    return again


_MEND = "Look at the result; a lower lr, more max_steps or other noise may be right (calibrate measures it)."


def _fit(
    stacks: Sequence[ImageStack],
    found: Found,
    settings: Settings,
    make_objective: Callable[[InUnits, Tensor], Objective],
    training: Training,
    *,
    part: str,
) -> Fitted:
    """Train a network for a channel."""
    mean, spread = statistics(stacks, found)
    restorer = Restorer(nn.Identity(), found, mean=mean, spread=spread)
    sides = crop_sides(stacks, training.patch)
    max_steps = training.max_steps or default_steps(stacks)
    crops = Patches(
        stacks,
        batch_size=training.batch_size,
        patch=sides,
        steps=max(max_steps // CHECKS, 1),
        prepare=restorer.batch,
        flips=flip_axes(found.noise, settings.ndim),
        seed=settings.seed,
        reserved=measured_boxes(stacks, reserve(stacks, sides, seed=settings.seed), sides),
        frames=settings.neighbour_frames,
    )
    pixels = sum(len(stack) * stack.channels * math.prod(stack.spatial) for stack in stacks)
    batches = -(-min(_LOOKED_AT, _TIMES * pixels) // crops.peek(0)["x1"].numel())
    seen = _joined([crops.peek(k) for k in range(max(batches, -(-_JUDGED // training.batch_size)))])
    x1 = seen["x1"]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = settings.network(stacks[0].channels)
    model = ConsistencyFunction.calibrated(network, x1, restorer.noise, per_feature=True, skip=settings.estimator)
    contrast = settings.own_network is None and is_bright(model.scaling)
    if contrast:
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            network = settings.network(stacks[0].channels, contrast=True)
    model = settings.dressed(model, network, contrast=contrast)
    trained = train(
        model,
        make_objective(restorer.noise, x1),
        crops,
        training,
        max_steps=max_steps,
        seed=settings.seed,
        checkpoint=training.checkpoint(part, x1, max_steps=max_steps, **asdict(settings)),
    )
    engine = trained.engine
    restorer.model = engine.averaged
    restorer.to(engine.device)
    if trained.interrupted:
        return Fitted(restorer.eval(), found, trained.history, interrupted=True)
    judged = rows_of(seen, slice(_JUDGED))
    lost = lost_signal(restorer, **judged)
    if settings.estimator == "mean":
        most = slice(max_steps * training.batch_size)  # no more than training has seen
        restorer.calibrate_errors(**rows_of(_joined([*crops.held_out(), rows_of(seen, most)]), most))  # held out first
    if settings.estimator == "transport" and (report := engine.collapse(judged)) is not None:
        report.warn()
    return Fitted(restorer.eval(), found, trained.history, lost=lost)


def _joined(batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Several batches as one."""
    return {name: torch.cat([one[name] for one in batches]) for name in batches[0]}


def statistics(stacks: Sequence[ImageStack], found: Found) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, on the scale of the noise, ``(channels, 1, ...)``."""
    scale = full_scale(found.noise, stacks[0].dtype)
    columns = [np.concatenate([plane.ravel() for plane in look(stacks, c)]) for c in range(stacks[0].channels)]
    moments = np.array([[column.mean(dtype=np.float64), column.std(dtype=np.float64)] for column in columns])
    if not np.isfinite(moments).all():
        msg = "images contain NaN or infinity; fix or crop these pixels."
        raise ValueError(msg)
    if (moments[:, 1] == 0).any():
        msg = f"channel {int(np.argmin(moments[:, 1]))} has one value in all images; there is nothing to learn from it."
        raise ValueError(msg)
    mean, spread = torch.tensor(moments, dtype=torch.float32).T.reshape(2, -1, *[1] * len(stacks[0].spatial))
    return (mean - found.pedestal) / scale, spread / scale
