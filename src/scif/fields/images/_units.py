"""A noise channel in the units that a network works in."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.core.noise.base import Moments, NoiseModel, Split
from scif.core.noise.moments import QuadraticMoments

__all__ = ["InUnits"]


class InUnits(NoiseModel):
    """A channel for ``(x - offset) / scale``, where ``x`` is on the scale that ``noise`` was made for.

    Everything is handed to ``noise`` on its own scale and brought back, so that any channel will do. Clean signals that
    leave its support (a network's output may) are projected before they are re-noised.

    Parameters
    ----------
    noise
        The channel on the scale of the images.
    offset, scale
        Numbers, or tensors that broadcast against one image ``(channels, *spatial)``.

    Examples
    --------
    >>> from scif.core.noise import Gaussian
    >>> InUnits(Gaussian(25.0), offset=100.0, scale=50.0).moments(torch.zeros(1, 1)).variance.sqrt()
    tensor([[0.5000]])
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, noise: NoiseModel, *, offset: float | Tensor, scale: float | Tensor) -> None:
        super().__init__()
        check_positive(scale, name="scale")
        self.noise, self.unbiased = noise, noise.unbiased
        self.elementwise, self.mirrored_split = noise.elementwise, noise.mirrored_split
        self.register_buffer("offset", torch.as_tensor(offset, dtype=torch.float32).detach().clone())
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32).detach().clone())

    @property
    def splittable(self) -> bool:
        """Whether the channel has an exact split."""
        return self.noise.splittable

    def mirror_axes(self, ndim: int) -> tuple[int, ...]:
        """Those of the channel."""
        return self.noise.mirror_axes(ndim)

    def transpose_axes(self, ndim: int) -> tuple[tuple[int, int], ...]:
        """Those of the channel."""
        return self.noise.transpose_axes(ndim)

    def to_images(self, x: Tensor) -> Tensor:
        """From the network's units to those of the images."""
        return x * self.scale.to(x.dtype) + self.offset.to(x.dtype)

    def to_network(self, x: Tensor) -> Tensor:
        """From the units of the images to those of the network."""
        return (x - self.offset.to(x.dtype)) / self.scale.to(x.dtype)

    def clean(self, x0: Tensor) -> Tensor:
        """A clean signal in the units of the images, inside the channel's support."""
        return self.noise.support_x0.project(self.to_images(x0))

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw observations."""
        return self.to_network(self.noise.sample(self.clean(x0), generator=generator))

    def moments(self, x0: Tensor) -> Moments:
        """Mean and variance."""
        moments = self.noise.moments(self.clean(x0))
        return Moments(self.to_network(moments.mean), moments.variance / self.scale.to(x0.dtype).square())

    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments | None:
        """The channel's polynomials, if it has them, in the units of the network."""
        form = self.noise.quadratic_moments(x0)
        if form is None:
            return None
        scale, offset = self.scale.to(x0.dtype), self.offset.to(x0.dtype)
        return QuadraticMoments(
            shift=(form.shift + (form.scale - 1.0) * offset) / scale,
            scale=form.scale,
            constant=(form.constant + offset * (form.linear + form.quadratic * offset)) / scale.square(),
            linear=(form.linear + 2.0 * form.quadratic * offset) / scale,
            quadratic=form.quadratic,
        )

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Two independent parts; each carries its share of the offset, too."""
        observed = self.noise.support_x1.project(self.to_images(x1))
        parts = self.noise.split(observed, fraction, generator=generator)
        scale, offset = self.scale.to(x1.dtype), self.offset.to(x1.dtype)
        return Split((parts.a - fraction * offset) / scale, (parts.b - (1 - fraction) * offset) / scale, fraction)
