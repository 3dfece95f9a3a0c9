"""A trained denoiser applied to stacks of images, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.core._check import check_whole
from scif.fields.images._axes import ImageStack
from scif.fields.images._frames import frames_of, read_frames
from scif.fields.images._inputs import Input
from scif.fields.images._measured import measured
from scif.fields.images._outputs import check_outputs, open_output, paths_of_std, to_dtype
from scif.fields.images._restorer import Restorer
from scif.fields.images._settings import Estimator, Settings, per_axis
from scif.fields.images._tiles import plan_axis, run_tiled

__all__ = ["Pass", "Writing", "check_channels", "check_errors", "denoise_inputs", "denoise_stack"]

_TILE = {2: (512, 512), 3: (32, 160, 160)}
_OVERLAP = {2: (64, 64), 3: (16, 64, 64)}


@dataclass(frozen=True)
class Pass:
    """How images go through the networks: the estimator, and the size of tiles."""

    flow_steps: int | None
    """Steps along the flow; one call of the network if ``None``."""
    augment: bool
    """Whether the mean over mirror images is taken."""
    tile: int | Sequence[int] | None = None
    overlap: int | Sequence[int] | None = None
    batch_size: int = 4

    def __post_init__(self) -> None:
        check_whole(self.batch_size, name="batch_size")
        for name, value, least in (("tile", self.tile, 1), ("overlap", self.overlap, 0)):
            for side in value if isinstance(value, Sequence) else () if value is None else (value,):
                check_whole(side, name=name, least=least)


@dataclass(frozen=True)
class Writing:
    """Where results go, and in which form."""

    outs: Sequence[str | Path | None]
    """A path for each input; ``None`` for the default."""
    dtype: Any
    overwrite: bool
    return_std: bool
    """Whether a map of standard deviations goes beside each result."""


def check_channels(restorers: Sequence[Restorer], stacks: Sequence[ImageStack]) -> None:
    """Raise ``ValueError`` if images have other channels than the networks were trained for."""
    channels, expected = stacks[0].channels, sum(restorer.noise.scale.numel() for restorer in restorers)
    if channels != expected:
        msg = f"images have {channels} channels, but training images had {expected}."
        raise ValueError(msg)


def check_errors(restorers: Sequence[Restorer], estimator: Estimator) -> None:
    """Raise ``ValueError`` if there is no standard deviation to give."""
    if estimator != "mean":
        msg = "return_std=True, but the transport has no error estimate; use estimator='mean'."
        raise ValueError(msg)
    if not all(one.errors.is_calibrated for one in restorers):
        msg = "return_std=True, but this denoiser has no map of its errors; fit it again."
        raise ValueError(msg)


def denoise_inputs(
    restorers: Sequence[Restorer], settings: Settings, inputs: Sequence[Input], how: Pass, write: Writing
) -> list[Any]:
    """Denoise inputs, one after the other; a failure leaves no output of the input that it met."""
    check_outputs(inputs, write.outs, dtype=write.dtype, overwrite=write.overwrite)
    spreads: Sequence[Path | None] = ()
    if write.return_std:
        spreads = paths_of_std(inputs, write.outs)
        check_outputs(inputs, spreads, dtype=np.float32, overwrite=write.overwrite)
    results: list[Any] = []
    for k, (one, to) in enumerate(zip(inputs, write.outs, strict=True)):
        outputs = [open_output(one, to, dtype=write.dtype, overwrite=write.overwrite)]
        try:
            if write.return_std:
                outputs.append(open_output(one, spreads[k], dtype=np.float32, overwrite=write.overwrite))
            spread = outputs[1].stack if write.return_std else None
            denoise_stack(restorers, settings, one.stack, outputs[0].stack, how, spread=spread)
        except BaseException:
            for output in outputs:
                output.discard()
            raise
        finished = tuple(output.finish() for output in outputs)
        results.append(finished if write.return_std else finished[0])
    return results


def denoise_stack(
    restorers: Sequence[Restorer],
    settings: Settings,
    source: ImageStack,
    target: ImageStack,
    how: Pass,
    *,
    spread: ImageStack | None = None,
) -> None:
    """Denoise every image of a stack and write it to another of the same shape.

    Parameters
    ----------
    restorers
        One network for all channels, or one for each.
    settings
        What the networks are made of.
    source, target
        The images as they are, and where they go.
    how
        How images go through the networks.
    spread
        Where the standard deviations go, if these are wanted.
    """
    ndim = settings.ndim
    sides = per_axis(how.tile or _TILE[ndim], ndim, name="tile")
    margins = per_axis(_OVERLAP[ndim] if how.overlap is None else how.overlap, ndim, name="overlap")
    plan = [
        plan_axis(n, tile=t, overlap=o, multiple=m)
        for n, t, o, m in zip(source.spatial, sides, margins, restorers[0].multiple, strict=True)
    ]
    frames = frames_of(settings.neighbour_frames, [source])
    for c, restorer in enumerate(restorers):
        stacks = [source, target] if spread is None else [source, target, spread]
        part, into, *further = [stack.only(c) for stack in stacks] if len(restorers) > 1 else stacks
        (part,) = measured([part])
        for index in range(len(source)):
            run_tiled(
                partial(read_frames, part, index, count=frames),
                partial(restorer.restore, flow_steps=how.flow_steps, augment=how.augment, std=spread is not None),
                partial(_write, part, into, further, index),
                plan=plan,
                batch_size=how.batch_size,
            )


def _write(
    source: ImageStack,
    into: ImageStack,
    further: Sequence[ImageStack],
    index: int,
    start: Sequence[int],
    values: NDArray[np.floating],
) -> None:
    clean = source.restored(index, start, values[: source.channels])
    into.write(index, start, to_dtype(clean, into.dtype))
    for one in further:  # pixels that are no measurement stay as they are, and have no spread
        one.write(index, start, source.restored(index, start, values[source.channels :], kept=0.0))
