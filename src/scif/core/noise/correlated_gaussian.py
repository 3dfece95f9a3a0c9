"""Additive Gaussian noise with spatial correlation."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from scif.core.domain import Domain
from scif.core.noise import _random
from scif.core.noise._fit import Residuals
from scif.core.noise.base import NoDensity
from scif.core.noise.gaussian import Gaussian
from scif.core.noise.moments import QuadraticMoments

__all__ = ["CorrelatedGaussian"]


class CorrelatedGaussian(Gaussian):
    """``x1 = x0 + sigma (kernel * z)``: white noise convolved with a kernel of unit L2 norm, by FFT.

    A kernel with n axes acts on the last n axes of the signal; the other axes hold independent fields. Its centre is
    entry ``size // 2`` of each axis.

    Parameters
    ----------
    kernel
        Real kernel, at most as large as the signal. It is scaled to unit norm.
    sigma
        Standard deviation in units of the signal, of any shape that broadcasts.
    boundary
        ``"circular"``: the field is periodic, and every entry has standard deviation ``sigma``. ``"reflect"``: the
        white noise continues as its mirror image, with repeated edge entries. The variance (exact in :meth:`moments`)
        therefore differs near the edge.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import CorrelatedGaussian
    >>> noise = CorrelatedGaussian(torch.ones(3, 3), sigma=0.1)
    >>> noise.sample(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 1, 16, 16])
    """

    elementwise = False
    tables = ("kernel",)
    kernel: Tensor

    def __init__(self, kernel: Any, sigma: Any, *, boundary: Literal["circular", "reflect"] = "circular") -> None:
        super().__init__(sigma)
        if boundary not in ("circular", "reflect"):
            msg = f"boundary={boundary!r} is not known; use 'circular' or 'reflect'."
            raise ValueError(msg)
        self.boundary = boundary
        self.set_parameter("kernel", kernel, _check_kernel)
        self.kernel = self.kernel / self.kernel.norm()

    @classmethod
    def from_span(
        cls, span: float, sigma: Any, *, boundary: Literal["circular", "reflect"] = "circular"
    ) -> CorrelatedGaussian:
        """Two-dimensional kernel ``cos(r) N(r; span)``, ``r`` in entries from a centre on the grid.

        This is the kernel of the publication's experiments (Zhang & Zhou 2025), whose code puts the centre between grid
        points. It is cut off at five spans.
        """
        if not (math.isfinite(span) and span > 0):
            msg = f"span is {span:g}; it must be finite and positive."
            raise ValueError(msg)
        reach = math.ceil(5 * span)
        axis = torch.arange(-reach, reach + 1, dtype=torch.get_default_dtype())
        squared = axis.square()[:, None] + axis.square()
        return cls(squared.sqrt().cos() * torch.exp(-squared / (2 * span**2)), sigma, boundary=boundary)

    @classmethod
    def from_power_spectrum(cls, power: Tensor, sigma: Any | None = None) -> CorrelatedGaussian:
        """Create periodic noise with a given power spectrum, for signals of its shape.

        Parameters
        ----------
        power
            Non-negative power in the layout of :func:`torch.fft.fftn`, equal at opposite frequencies.
        sigma
            Standard deviation. By default the square root of the mean power, for power defined as ``|fftn(noise)|**2 /
            size``.
        """
        Domain.POSITIVE.check(power, name="power")
        axes = tuple(range(power.ndim))
        opposite = power.flip(axes).roll([1] * power.ndim, axes)
        if not torch.allclose(power, opposite, rtol=1e-4, atol=1e-6 * float(power.max())):
            gap = float((power - opposite).abs().max())
            msg = (
                f"power differs between opposite frequencies by up to {gap:g}, which no real noise does; average both."
            )
            raise ValueError(msg)
        kernel = torch.fft.fftshift(torch.fft.ifftn(power.sqrt()).real)
        return cls(kernel, power.mean().sqrt() if sigma is None else sigma)

    @override
    def mirror_axes(self, ndim: int) -> tuple[int, ...]:
        """Axes along which the power spectrum and ``sigma`` are mirror-symmetric."""
        power = self._power()
        lead = max(ndim - power.ndim, 0)
        along = [axis for axis in range(power.ndim) if _alike(power, power.flip(axis).roll(1, axis))]
        return tuple(axis for axis in (*range(lead), *(lead + axis for axis in along)) if self._is_even(axis, ndim))

    @override
    def transpose_axes(self, ndim: int) -> tuple[tuple[int, int], ...]:
        """Pairs of axes in which the power spectrum is symmetric."""
        power = self._power()
        lead = max(ndim - power.ndim, 0)
        pairs = [(a, b) for a in range(power.ndim) for b in range(a + 1, power.ndim)]
        alike = [(lead + a, lead + b) for a, b in pairs if _alike(power, power.transpose(a, b))]
        return tuple(pair for pair in alike if all(self._is_even(axis, ndim) for axis in pair))

    def _power(self) -> Tensor:
        return torch.fft.fftn(self.kernel).abs().square()

    def _is_even(self, axis: int, ndim: int) -> bool:
        """Whether sigma is constant along an axis."""
        sizes = [1] * (ndim - self.sigma.ndim) + list(self.sigma.shape[-ndim:])
        return sizes[axis] == 1

    @override
    def noise(self, like: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        field = self._field(like)
        white = _random.normal(like, generator)
        if self.boundary == "reflect":
            for axis in range(-len(field), 0):
                white = torch.cat([white, white.flip(axis)], axis)
        axes, shape = tuple(range(-len(field), 0)), white.shape[-len(field) :]
        transfer = torch.fft.rfftn(self._padded(shape, like), dim=axes)
        smooth = torch.fft.irfftn(torch.fft.rfftn(white, dim=axes) * transfer, s=shape, dim=axes)
        return self.parameter_for("sigma", like) * smooth[(..., *(slice(size) for size in field))]

    @override
    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments:
        variance = self.parameter_for("sigma", x0).square()
        return QuadraticMoments(constant=variance * self._relative_variance(x0))

    @override
    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density, one number per sample, of periodic noise whose spectrum has no zeros.

        Raises
        ------
        NoDensity
            If the boundary is ``"reflect"``, or the power spectrum falls so close to zero that the density of a
            typical draw cannot be computed in the precision of ``x1``.
        """
        return super().log_prob(x1, x0)

    @override
    def _log_density(self, residual: Tensor, factor: Tensor) -> Tensor:
        axes, field = tuple(range(-self.kernel.ndim, 0)), self._field(residual)
        transfer = torch.fft.fftn(self._padded(field, residual))
        gain = transfer.abs()
        if self.boundary != "circular" or bool(gain.min() < math.sqrt(torch.finfo(gain.dtype).eps) * gain.max()):
            reason = "a reflecting boundary" if self.boundary != "circular" else "zeros in its power spectrum"
            msg = f"this correlated Gaussian has {reason} and so no density that can be evaluated; use sample()."
            raise NoDensity(msg)
        scale = (factor * self.parameter_for("sigma", residual)).expand_as(residual)
        white = torch.fft.ifftn(torch.fft.fftn(residual / scale, dim=axes) / transfer, dim=axes).real
        entries = -0.5 * white.square() - scale.log() - 0.5 * math.log(2 * math.pi) - gain.log().mean()
        return entries.flatten(1).sum(1)

    def _field(self, like: Tensor) -> torch.Size:
        """Shape of one field; raises if the kernel is larger or no batch axis is left."""
        field = like.shape[-self.kernel.ndim :]
        if like.ndim <= self.kernel.ndim or any(k > n for k, n in zip(self.kernel.shape, field, strict=True)):
            msg = (
                f"signals of shape {tuple(like.shape)} do not fit a kernel of shape {tuple(self.kernel.shape)}: "
                "a batch axis is needed in front, and fields no smaller than the kernel."
            )
            raise ValueError(msg)
        return field

    def _padded(self, shape: torch.Size, like: Tensor) -> Tensor:
        """The kernel on a larger grid with its centre at the origin."""
        sizes = self.kernel.shape
        padding = [side for k, n in zip(reversed(sizes), reversed(shape), strict=True) for side in (0, n - k)]
        padded = F.pad(self.kernel.to(like.dtype), padding)
        return padded.roll([-(k // 2) for k in sizes], tuple(range(len(sizes))))

    def _relative_variance(self, like: Tensor) -> Tensor:
        """Variance of each entry of the field for ``sigma = 1``.

        An entry sees each white value through the kernel and, near the edge, through mirrored copies of it. Along the
        mirrored axes the two copies overlap as the kernel's convolution with itself at lag ``2 i + 1``.
        """
        field = self._field(like)
        total = torch.ones([1] * len(field), dtype=like.dtype, device=like.device)
        if self.boundary == "circular":
            return total
        for count in range(1, len(field) + 1):
            for mirrored in combinations(range(len(field)), count):
                shape = torch.Size(2 * n if axis in mirrored else n for axis, n in enumerate(field))
                spectrum = torch.fft.fftn(self._padded(shape, like), dim=mirrored)
                overlap = torch.fft.ifftn(spectrum.square(), dim=mirrored).real
                others = [axis for axis in range(len(field)) if axis not in mirrored]
                overlap = overlap.sum(others, keepdim=True) if others else overlap
                total = (
                    total
                    + overlap[tuple(slice(1, None, 2) if a in mirrored else slice(None) for a in range(len(field)))]
                )
        return total

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None, *, ndim: int = 2) -> CorrelatedGaussian:  # type: ignore[override]
        """Estimate the power spectrum and standard deviation of the residuals, averaged over all fields.

        Parameters
        ----------
        x1
            Observations ``(batch, ..., height, width)``; without ``x0`` repeated frames of one scene.
        x0
            Clean signals of the shape of ``x1``.
        ndim
            Number of spatial axes, the last ones.
        """
        if x0 is None:
            Residuals.of(x1, None)
            residual = (x1 - x1.mean(0)) * math.sqrt(len(x1) / (len(x1) - 1))
        else:
            residual = x1 - x0
        if residual.ndim <= ndim:
            msg = f"x1 has {residual.ndim} axes; {ndim} spatial axes and a batch axis are needed."
            raise ValueError(msg)
        fields = residual.reshape(-1, *residual.shape[-ndim:])
        axes = tuple(range(1, ndim + 1))
        return cls.from_power_spectrum((torch.fft.fftn(fields, dim=axes).abs().square() / fields[0].numel()).mean(0))


def _alike(power: Tensor, other: Tensor) -> bool:
    """Whether two power spectra agree up to a thousandth of the largest value: kernels are measured."""
    return power.shape == other.shape and torch.allclose(power, other, atol=1e-3 * float(power.max()))


def _check_kernel(kernel: Tensor, *, name: str) -> None:
    Domain.REAL.check(kernel, name=name)
    if kernel.ndim == 0 or not bool((kernel != 0).any()):
        msg = (
            f"{name} has shape {tuple(kernel.shape)} and norm {float(kernel.norm()):g}; give a kernel that is not zero."
        )
        raise ValueError(msg)
