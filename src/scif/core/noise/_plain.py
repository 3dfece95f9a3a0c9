"""Samplers as a beginner writes them, and what to say about them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["accept_generator"]


def accept_generator(sample: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method ``sample``; one without ``generator`` works as long as none is given, and then says what to do."""
    parameters = inspect.signature(sample).parameters
    if "generator" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return sample

    @functools.wraps(sample)
    def without(self: Any, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        if generator is not None:
            msg = (
                f"{type(self).__name__}.sample takes no generator, so its draws cannot be repeated; write "
                "`def sample(self, x0, *, generator=None)` and draw with it, as in "
                "torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)."
            )
            raise TypeError(msg)
        return sample(self, x0)

    return without
