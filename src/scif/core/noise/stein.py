"""Stein kernels: how strongly noise is tied to the slope of a function of the observation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scif.core.noise.base import NoiseModel

__all__ = ["SteinKernel"]

_DRAWS = 500_000
"""Observations of each feature that the kernel is measured on, about."""

_SEED = 1_986_014_972
"""Not zero: signals that a user drew with the seed of the noise would depend on it."""


class SteinKernel(nn.Module):
    r"""A polynomial :math:`T(x_1, x_0)` that turns the noise of an observation into a derivative.

    With the mean of the channel inverted, :math:`u(x_1) = (x_1 - \text{shift}) / \text{slope}` with
    :math:`E[u \mid x_0] = x_0`, noise that is independent from entry to entry has a kernel such that

    .. math:: E[(u - x_0)\, g(x_1) \mid x_0] = E[T(x_1, x_0)\, g'(x_1) \mid x_0]

    for every :math:`g`. It is :math:`\sigma^2` for Gaussian noise (Stein's identity), :math:`x_0 x_1 / k` for gamma
    noise of shape :math:`k`, nearly ``gain (x0 + x1) / 2`` for shot noise. Here it is the polynomial of degree two
    nearest to the true kernel in mean square. No density is needed for that: the normal equations of a least-squares
    fit with terms :math:`\phi_k` ask for :math:`E[\phi_k T] = E[(u - x_0) \int \phi_k\, dx_1]`, which draws of the
    channel tell. The mean of :math:`T` given ``x0`` is the covariance of ``u`` and ``x1``, exact for a variance
    quadratic in ``x0`` but for the scatter of the draws.

    Parameters
    ----------
    shift, slope
        The straight line of the channel's mean, one for each feature ``(features, 1, ...)``.
    center, spread
        Of the signals; the polynomial is in ``(u - center) / spread`` and ``(x0 - center) / spread``.
    coefficients
        Of the terms ``1, u, u u, x0, u x0, x0 x0``; ``(6, features, 1, ...)``.

    References
    ----------
    Stein, "Approximate computation of expectations", 1986, chapter 6; Ledoux, Nourdin & Peccati, Geometric and
    Functional Analysis 25 (2015), section 2.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Gaussian, SteinKernel
    >>> x0 = torch.rand(64, 1, generator=torch.Generator().manual_seed(0))
    >>> kernel = SteinKernel.measured(Gaussian(0.5), x0)
    >>> round(float(kernel(x0, x0).mean()), 2)
    0.25
    """

    shift: Tensor
    slope: Tensor
    center: Tensor
    spread: Tensor
    coefficients: Tensor

    def __init__(self, *, shift: Tensor, slope: Tensor, center: Tensor, spread: Tensor, coefficients: Tensor) -> None:
        super().__init__()
        parts = {"shift": shift, "slope": slope, "center": center, "spread": spread, "coefficients": coefficients}
        for name, value in parts.items():
            self.register_buffer(name, value.detach().clone())

    @classmethod
    def measured(cls, noise: NoiseModel, x0: Tensor, *, seed: int = _SEED) -> SteinKernel:
        """The kernel of a channel whose noise is independent from entry to entry, and whose mean is a straight line.

        Parameters
        ----------
        noise
            The channel.
        x0
            Clean signals ``(n, features, ...)`` of the kind that will be met, inside the channel's support; features
            have kernels of their own.
        seed
            Of the draws, so that equal input gives equal output.
        """
        shift, slope = mean_line(noise, x0)
        rows = -(-_DRAWS * x0.shape[1] // x0[:1].numel())
        x0 = torch.cat([x0] * max(rows // len(x0), 1))[:rows]
        x1 = noise.sample(x0, generator=torch.Generator(x0.device).manual_seed(seed))
        clean, seen = (x.transpose(0, 1).flatten(1).double() for x in (x0, (x1 - shift) / slope))
        center, spread = seen.mean(1, keepdim=True), seen.std(1, keepdim=True)
        xi, eta = (clean - center) / spread, (seen - center) / spread
        one = torch.ones_like(eta)
        terms = torch.stack([one, eta, eta**2, xi, eta * xi, xi**2])
        # Integrals from x0 on: what depends on x0 alone has no covariance with the noise, and would only scatter.
        line, square, cube = eta - xi, (eta**2 - xi**2) / 2, (eta**3 - xi**3) / 3
        integrals = torch.stack([line, square, cube, xi * line, xi * square, xi**2 * line])
        gram = torch.einsum("kcn,lcn->ckl", terms, terms) / clean.shape[1]
        wanted = ((eta - xi) * integrals).mean(2).T * spread**2
        # Signals of one value make the equations singular, and their least solution will do.
        found = (torch.linalg.pinv(gram, hermitian=True, rtol=1e-10) @ wanted.unsqueeze(-1)).squeeze(-1)
        shape = (x0.shape[1], *[1] * (x0.ndim - 2))
        scale = slope.reshape(-1, 1).double().expand(shape[0], 1)
        return cls(
            shift=shift,
            slope=slope,
            center=center.to(x0.dtype).view(shape),
            spread=spread.to(x0.dtype).view(shape),
            coefficients=(found * scale).T.to(x0.dtype).reshape(6, *shape),
        )

    def invert(self, x1: Tensor) -> Tensor:
        """``u``: observations with the mean of the channel taken back."""
        return (x1 - self.shift.to(x1.dtype)) / self.slope.to(x1.dtype)

    def forward(self, x1: Tensor, x0: Tensor) -> Tensor:
        """The kernel at observations ``(batch, features, ...)`` and clean signals of the same shape."""
        c = self.coefficients.to(x1.dtype)
        center, spread = self.center.to(x1.dtype), self.spread.to(x1.dtype)
        eta, xi = (self.invert(x1) - center) / spread, (x0 - center) / spread
        return c[0] + eta * (c[1] + c[2] * eta + c[4] * xi) + xi * (c[3] + c[5] * xi)


def mean_line(noise: NoiseModel, like: Tensor) -> tuple[Tensor, Tensor]:
    """Height and slope of the channel's mean as a function of the clean signal, ``(features, 1, ...)``."""
    low = torch.zeros_like(like[:1])
    heights = []
    for x0 in (low, low + 0.1):
        mean = noise.moments(x0).mean[0]
        heights.append(mean.mean(tuple(range(1, mean.ndim)), keepdim=True) if mean.ndim > 1 else mean)
    return heights[0], (heights[1] - heights[0]) / 0.1
