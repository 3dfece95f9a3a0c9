"""How a flow is observed: gaps, low resolution, velocities, each a channel that composes with the flow."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from scif.core._check import check_fraction, check_whole
from scif.core.noise.base import NoiseModel
from scif.core.noise.moments import Moments
from scif.fields.fluids.metrics import velocity, vorticity

__all__ = ["Coarse", "Gaps", "Masked", "Observation", "Velocities", "fill_gaps"]


class Observation(NoiseModel):
    """Observation of a field by an instrument, with a rough inverse.

    Observations compose with the flow and with noise: ``Gaussian(0.1) @ Coarse(4) @ flow``.
    """

    unbiased = False
    deterministic = True

    def observe(self, x0: Tensor, like: Tensor | None = None) -> Tensor:
        """Observe fields; ``like`` is an observation whose gaps are repeated."""
        raise NotImplementedError

    def lift(self, x1: Tensor) -> Tensor:
        """Rough field from an observation. It has the right shape but lacks what the instrument lost."""
        raise NotImplementedError

    def where(self, x1: Tensor) -> Tensor | None:
        """Mask of the observation's data on its own grid, ``(batch, 1, height, width)``; None if it is complete."""
        return None

    def spread(self, where: Tensor) -> Tensor:
        """Transfer a mask from the grid of the observation to the grid of the field."""
        return where

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.observe(x0)

    @override
    def moments(self, x0: Tensor) -> Moments:
        mean = self.observe(x0)
        return Moments(mean, torch.zeros_like(mean))


class Masked(Observation):
    """Observation of fields that are zero where a fixed mask is False, such as the shadow of an obstacle.

    Parameters
    ----------
    mask
        Mask, ``(height, width)``, True where there are data.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import Masked
    >>> mask = torch.ones(8, 8, dtype=torch.bool)
    >>> mask[2:4, 2:4] = False
    >>> int((Masked(mask).sample(torch.ones(1, 8, 8)) == 0).sum())
    4
    """

    mask: Tensor

    def __init__(self, mask: Any) -> None:
        super().__init__()
        found = torch.as_tensor(mask).bool()
        if found.ndim != 2 or not bool(found.any()):
            msg = f"mask has shape {tuple(found.shape)} and {int(found.sum())} true points; pass (height, width)."
            raise ValueError(msg)
        self.register_buffer("mask", found)

    @override
    def observe(self, x0: Tensor, like: Tensor | None = None) -> Tensor:
        self._check(x0)
        return x0 * self.mask

    @override
    def lift(self, x1: Tensor) -> Tensor:
        self._check(x1)
        return fill_gaps(x1, self.mask.expand(x1.shape))

    def _check(self, fields: Tensor) -> None:
        if fields.shape[-2:] != self.mask.shape:
            here, there = tuple(self.mask.shape), tuple(fields.shape[-2:])
            msg = f"mask has shape {here}, but fields {there}; pass one for this grid."
            raise ValueError(msg)

    @override
    def where(self, x1: Tensor) -> Tensor:
        return self.mask.to(x1.dtype).expand(x1.shape[0], 1, *self.mask.shape)


class Gaps(Observation):
    """Observation of fields with gaps that differ between samples, for example where particle images cannot be matched.

    The observation has one more channel than the field, ``(batch, channels + 1, height, width)``: the values, zero in
    gaps, and a mask that is 1 where there are data. Noise is added before: ``Gaps(0.3) @ Gaussian(0.1) @ flow``.

    Parameters
    ----------
    share
        Mean fraction of the field that is missing.
    size
        Side of a gap in points.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import Gaps
    >>> seen = Gaps(0.5, 4).sample(torch.ones(64, 16, 16), generator=torch.Generator().manual_seed(0))
    >>> seen.shape, round(float(seen[:, 1].mean()), 1)
    (torch.Size([64, 2, 16, 16]), 0.5)
    """

    deterministic = False

    def __init__(self, share: float, size: int = 8) -> None:
        super().__init__()
        check_fraction(share, name="share")
        self.share, self.size = float(share), check_whole(size, name="size")

    @override
    def observe(self, x0: Tensor, like: Tensor | None = None) -> Tensor:
        field = x0 if x0.ndim == 4 else x0[:, None]
        mask = torch.ones_like(field[:, :1]) if like is None else like[:, -1:]
        return torch.cat([field * mask, mask], 1)

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        height, width = x0.shape[-2:]
        device = generator.device if generator is not None else x0.device
        # A point stays if none of the size^2 gaps that could cover it occurs; the fields are periodic.
        chance = 1 - (1 - self.share) ** (1 / self.size**2)
        seeds = (torch.rand(x0.shape[0], 1, height, width, generator=generator, device=device) < chance).to(x0)
        far = self.size - 1
        covered = F.max_pool2d(F.pad(seeds, (0, far, 0, far), mode="circular"), self.size, 1)
        return self.observe(x0, torch.cat([covered, 1 - covered], 1))

    @override
    def lift(self, x1: Tensor) -> Tensor:
        field = fill_gaps(x1[:, :-1], x1[:, -1:].bool().expand_as(x1[:, :-1]))
        return field[:, 0] if field.shape[1] == 1 else field

    @override
    def where(self, x1: Tensor) -> Tensor:
        return x1[:, -1:]

    def extra_repr(self) -> str:
        """Text of the parameters."""
        return f"share={self.share:g}, size={self.size}"


class Coarse(Observation):
    """Observation by block means, like the windows of particle image velocimetry.

    Parameters
    ----------
    factor
        Side of a block in points; it must divide the sides of the field.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import Coarse
    >>> Coarse(4).sample(torch.ones(2, 16, 16)).shape
    torch.Size([2, 4, 4])
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = check_whole(factor, name="factor", least=2)

    @override
    def observe(self, x0: Tensor, like: Tensor | None = None) -> Tensor:
        if x0.shape[-2] % self.factor or x0.shape[-1] % self.factor:
            msg = f"fields have {tuple(x0.shape[-2:])} points; factor {self.factor} has to divide both sides."
            raise ValueError(msg)
        field = x0 if x0.ndim == 4 else x0[:, None]
        return F.avg_pool2d(field, self.factor).reshape(*x0.shape[:-2], *(n // self.factor for n in x0.shape[-2:]))

    @override
    def lift(self, x1: Tensor) -> Tensor:
        """Trigonometric interpolation of the modes of the coarse grid, corrected for the blur of the blocks."""
        height, width = x1.shape[-2:]
        rows = torch.fft.fftfreq(height, dtype=x1.dtype, device=x1.device)[:, None]
        columns = torch.fft.rfftfreq(width, dtype=x1.dtype, device=x1.device)[None]
        turn = -math.pi * (1 - 1 / self.factor)
        # a block's mean is the wave's value at the block's centre, times the transform of the block
        undo = torch.polar(torch.ones_like(rows + columns), turn * (rows + columns))
        blur = self._blur(rows) * self._blur(columns)
        kept = (rows.abs() < 0.5) & (columns < 0.5)
        modes = torch.fft.rfft2(x1, norm="forward") * undo / blur * kept
        tall, wide = height * self.factor, width * self.factor
        full = modes.new_zeros(*x1.shape[:-2], tall, wide // 2 + 1)
        index = torch.fft.fftfreq(height, d=1 / height, device=x1.device).round().long() % tall
        full[..., index, : width // 2 + 1] = modes
        return torch.fft.irfft2(full, s=(tall, wide), norm="forward")

    def _blur(self, frequency: Tensor) -> Tensor:
        return torch.sinc(frequency) / torch.sinc(frequency / self.factor)

    @override
    def spread(self, where: Tensor) -> Tensor:
        return where.repeat_interleave(self.factor, -2).repeat_interleave(self.factor, -1)

    def extra_repr(self) -> str:
        """Text of the parameters."""
        return f"factor={self.factor}"


class Velocities(Observation):
    """Observation of velocities along ``x`` and ``y``, ``(batch, 2, height, width)``, of a periodic flow.

    Parameters
    ----------
    length
        Side length of the periodic domain, or its side lengths along ``y`` and ``x``.

    Examples
    --------
    >>> from scif.fields.fluids import Velocities, taylor_green
    >>> Velocities().sample(taylor_green(16)[None]).shape
    torch.Size([1, 2, 16, 16])
    """

    def __init__(self, length: float | tuple[float, float] = 2 * math.pi) -> None:
        super().__init__()
        self.length = length

    @override
    def observe(self, x0: Tensor, like: Tensor | None = None) -> Tensor:
        return velocity(x0, length=self.length).movedim(0, 1)

    @override
    def lift(self, x1: Tensor) -> Tensor:
        return vorticity(x1.movedim(1, 0), length=self.length)


def fill_gaps(field: Tensor, mask: Tensor) -> Tensor:
    """Fill the points where a mask is False from their surroundings, coarse to fine.

    Parameters
    ----------
    field
        Fields ``(..., height, width)``; values where the mask is False are ignored.
    mask
        Mask of the same shape, True where there are data.
    """
    shape = field.shape
    flat, known = field.reshape(-1, 1, *shape[-2:]), mask.reshape(-1, 1, *shape[-2:]).to(field.dtype)
    return _fill(flat * known, known).reshape(shape)


def _fill(values: Tensor, weight: Tensor) -> Tensor:
    """``values / weight`` where there is weight, from the next coarser grid elsewhere."""
    own = values / weight.clamp_min(1e-6)
    if min(values.shape[-2:]) < 4:
        mean = values.sum((-2, -1), keepdim=True) / weight.sum((-2, -1), keepdim=True).clamp_min(1e-6)
        return torch.where(weight > 0, own, mean)
    height, width = values.shape[-2:]
    coarser = [F.avg_pool2d(part, 2, ceil_mode=True) for part in (values, weight)]
    coarse = _fill(coarser[0], coarser[1])
    finer = F.interpolate(F.pad(coarse, (1, 1, 1, 1), mode="circular"), scale_factor=2, mode="bilinear")
    return torch.where(weight > 0, own, finer[..., 2 : 2 + height, 2 : 2 + width])
