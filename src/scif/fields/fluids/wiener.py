"""A filter that takes the known noise out of an observed field before it is marched back."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["apply_shells", "shell_power", "shells", "wiener"]


def shells(field: Tensor) -> Tensor:
    """Rounded wavenumber of each stored coefficient of :func:`torch.fft.rfft2`, in periods over the longer side."""
    height, width = field.shape[-2:]
    rows = torch.fft.fftfreq(height, device=field.device)[:, None]
    columns = torch.fft.rfftfreq(width, device=field.device)[None]
    return (max(height, width) * (rows**2 + columns**2).sqrt()).round().long()


def shell_power(field: Tensor) -> Tensor:
    """Mean squared coefficient (of the orthonormal transform) in each shell, over all fields."""
    index = shells(field)
    power = torch.fft.rfft2(field, norm="ortho").abs().square().flatten(0, -3).mean(0)
    total = power.new_zeros(int(index.max()) + 1).index_add(0, index.flatten(), power.flatten())
    return total / torch.bincount(index.flatten(), minlength=len(total))


def wiener(observed: Tensor, noise: Tensor) -> Tensor:
    """Share of the signal in the power of each shell: what least squares keeps of a coefficient.

    Parameters
    ----------
    observed
        Fields with their noise ``(n, ..., height, width)``.
    noise
        Noise alone, of the same shape.
    """
    power, lost = shell_power(observed), shell_power(noise)
    share = (1 - lost / power.clamp_min(torch.finfo(power.dtype).tiny)).clamp(0, 1)
    share[0] = 1  # the mean is kept
    return share


def apply_shells(field: Tensor, factors: Tensor) -> Tensor:
    """Multiply the coefficients of each shell; finer grids have shells without a factor, which are removed."""
    index = shells(field)
    factor = torch.where(index < len(factors), factors[index.clamp_max(len(factors) - 1)], 0)
    return torch.fft.irfft2(torch.fft.rfft2(field) * factor, s=field.shape[-2:])
