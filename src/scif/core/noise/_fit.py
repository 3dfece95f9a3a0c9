"""Parts that the moment fits share: pairs of clean and noisy signals, or repeated frames of one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif.core._check import check_same_shape

__all__ = ["Per", "Residuals", "pool"]

Per = Literal["all", "channel", "entry"]
"""Which entries share a parameter: all of them, those of a channel (axis 1), or each entry has its own."""


@dataclass(frozen=True)
class Residuals:
    """Unbiased estimates, entry by entry, of ``x0``, of its square and of the variance of ``x1`` given it."""

    clean: Tensor
    clean_square: Tensor
    variance: Tensor

    @classmethod
    def of(cls, x1: Tensor, x0: Tensor | None) -> Residuals:
        """From pairs ``(batch, ...)``, or without ``x0`` from frames ``(frames, ...)`` of one scene."""
        if not bool(torch.isfinite(x1).all()):
            msg = "x1 contains values that are not finite; remove them before fitting."
            raise ValueError(msg)
        if x0 is not None:
            check_same_shape(x1, x0, names=("x1", "x0"))
            return cls(x0, x0.square(), (x1 - x0).square())
        if len(x1) < 2:
            msg = f"x1 has {len(x1)} frame; without x0 at least 2 repeated frames along the first axis are needed."
            raise ValueError(msg)
        mean, variance = x1.mean(0, keepdim=True), x1.var(0, keepdim=True)
        return cls(mean, mean.square() - variance / len(x1), variance)


def pool(values: Tensor, per: Per) -> Tensor:
    """Average over the entries that share a parameter, in a shape that broadcasts against one sample."""
    if per == "all":
        return values.mean()
    if per == "entry":
        return values.mean(0)
    if per == "channel":
        kept = values.mean([0, *range(2, values.ndim)])
        return kept.reshape(-1, *[1] * (values.ndim - 2))
    msg = f"per={per!r} is not known; use 'all', 'channel' or 'entry'."
    raise ValueError(msg)
