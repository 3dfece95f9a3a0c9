"""Technical overdispersion, divided from the biological one."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.counts.posterior.parameters import MAX_SHAPE, Dispersion

__all__ = ["divided"]


def divided(total: Tensor, technical: Tensor | float, device: torch.device) -> Dispersion:
    """Divide total dispersion into a technical and a biological part."""
    theta = torch.as_tensor(technical, dtype=torch.float32).cpu().expand(len(total)).clamp(max=MAX_SHAPE)
    theta = torch.maximum(theta, total)  # no more can be technical than there is
    # dispersions of a product of independent gamma factors: 1 + total = (1 + biological)(1 + technical)
    left = (1.0 + 1.0 / total) / (1.0 + 1.0 / theta) - 1.0
    shape = (1.0 / left.clamp_min(1.0 / MAX_SHAPE)).clamp(max=MAX_SHAPE)
    return Dispersion(shape.to(device), theta.clone().to(device))
