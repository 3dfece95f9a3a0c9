"""Double precision, wherever there is any."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["double", "double_on"]


def double(x: Tensor) -> Tensor:
    """``x`` in double precision; on the CPU if its device, Apple's, has none."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def double_on(device: torch.device) -> torch.dtype:
    """The most precise floating point type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64
