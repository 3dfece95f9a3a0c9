"""Logarithms of mass functions that stay accurate in single precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["poisson_log_prob", "stirling_rest", "xlog_ratio", "xlogy"]


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """``x log y`` with value and gradient zero where ``x`` is zero, also at ``y = 0``."""
    return torch.xlogy(x, torch.where(x == 0, torch.ones_like(y), y))


def xlog_ratio(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``x log(a / b)``, zero with its gradient where ``x`` is zero; exact for ``a`` next to ``b`` and far below."""
    absent, near = x == 0, a > 0.5 * b
    gap = torch.where(near & ~absent, (a - b) / b, torch.zeros_like(a))
    ratio = torch.where(near | absent, torch.ones_like(a), a / b)
    return x * (torch.log1p(gap) + ratio.log())


def stirling_rest(k: Tensor) -> Tensor:
    """``log Gamma(k) - k log k + k`` without cancellation at large ``k``."""
    large = k > 16
    near = torch.where(large, torch.ones_like(k), k)
    far = torch.where(large, k, torch.ones_like(k))
    square = far * far
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / far
    asymptotic = 0.5 * torch.log(2 * math.pi / far) + series
    return torch.where(large, asymptotic, torch.lgamma(near) - near * near.log() + near)


def poisson_log_prob(count: Tensor, rate: Tensor) -> Tensor:
    """Log mass of whole ``count`` under a Poisson law of mean ``rate``."""
    after = count + 1
    gap = (rate - after) / after
    return xlog_ratio(count, rate, after) - after * gap - after.log() - stirling_rest(after)
