"""How long and how a denoiser trains: checked before any image is read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from scif.core._check import check_fraction, check_positive, check_whole
from scif.core.engine import Checkpoint, check_trainer_options
from scif.fields.images._axes import ImageStack
from scif.fields.images._settings import per_axis

__all__ = ["Training", "default_steps"]

_STEPS = 1000
"""Optimiser steps at most. On one image of 512 x 512 pixels the second half of them adds 0.1 dB."""
_FEWEST = 300
"""Optimiser steps at least: fewer leave even a small image noisier than need be."""
_PATCH = {2: (48, 48), 3: (8, 32, 32)}


@dataclass(frozen=True)
class Training:
    """Arguments of :meth:`~scif.fields.images.ImageDenoiser.fit`, where each is explained."""

    ndim: int
    max_steps: int | None
    batch_size: int
    patch: tuple[int, ...]
    lr: float
    ema_decay: float
    progress: bool
    checkpoint_dir: str | Path | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(
        cls,
        ndim: int,
        *,
        max_steps: Any,
        batch_size: Any,
        patch: Any,
        lr: Any,
        ema_decay: Any,
        trainer: Any,
        **others: Any,
    ) -> Training:
        """With whole positive numbers where these are needed.

        Raises
        ------
        ValueError
            If a number is not whole, or too small.
        TypeError
            If an argument is no number, or none of the trainer.
        """
        check_positive(lr, name="lr")
        check_fraction(ema_decay, name="ema_decay")
        named = "max_steps"
        if "steps" in trainer:
            trainer, named = dict(trainer), "steps"
            max_steps = _renamed(trainer.pop("steps"), max_steps)
        check_trainer_options(trainer)
        sides = _PATCH[ndim] if patch is None else patch
        sides = tuple(sides) if isinstance(sides, Sequence) and not isinstance(sides, str) else (sides,) * ndim
        return cls(
            ndim=ndim,
            max_steps=None if max_steps is None else check_whole(max_steps, name=named),
            batch_size=check_whole(batch_size, name="batch_size"),
            patch=per_axis(tuple(check_whole(side, name="patch", least=8) for side in sides), ndim, name="patch"),
            lr=lr,
            ema_decay=ema_decay,
            trainer=trainer,
            **others,
        )

    def checkpoint(self, part: str, x1: Tensor, **settings: Any) -> Checkpoint | None:
        """Where the state of training of one of the networks goes, if anywhere."""
        if self.checkpoint_dir is None:
            return None
        settings |= {"batch_size": self.batch_size, "patch": self.patch, "lr": self.lr, "ema_decay": self.ema_decay}
        return Checkpoint.of(self.checkpoint_dir, f"network{part}", x1, **settings)


def _renamed(steps: Any, max_steps: Any) -> Any:
    """Number of steps that ``steps`` of older scripts asks for."""
    if max_steps is not None:
        msg = f"fit() got steps={steps!r} and max_steps={max_steps!r}; give max_steps alone, steps is its old name."
        raise TypeError(msg)
    warnings.warn("steps is now called max_steps; fit() will refuse the old name.", FutureWarning, stacklevel=4)
    return steps


def default_steps(stacks: Sequence[ImageStack]) -> int:
    """Optimiser steps that images of this size deserve: by the square root of the pixels, 1,000 for 512 x 512."""
    pixels = sum(len(stack) * math.prod(stack.spatial) for stack in stacks)
    return int(min(max(_STEPS * (pixels / 512**2) ** 0.5, _FEWEST), _STEPS))
