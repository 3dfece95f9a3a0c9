"""Affine paths: a weighted sum of both ends and, if wanted, latent noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import batch_times, expand_time
from scif.core.path.base import Path, PathPair, PathSample, check_ends, check_order

__all__ = ["Affine", "Coefficients"]


@dataclass(frozen=True)
class Coefficients:
    """Weights of ``x_t = alpha x0 + beta x1 + gamma z`` and their time derivatives, each ``(batch,)``."""

    alpha: Tensor
    """Weight of the clean end."""
    beta: Tensor
    """Weight of the observed end."""
    d_alpha: Tensor
    """Slope of ``alpha``."""
    d_beta: Tensor
    """Slope of ``beta``."""
    gamma: Tensor | None = None
    """Weight of the latent noise, or None."""
    d_gamma: Tensor | None = None
    """Slope of ``gamma``."""


class Affine(Path):
    """A path ``x_t = alpha(t) x0 + beta(t) x1 + gamma(t) z`` with ``z`` standard normal, drawn once per trajectory.

    Subclasses give :meth:`coefficients`; without ``gamma`` the trajectory is a function of its ends alone.
    """

    def coefficients(self, t: Tensor) -> Coefficients:
        """The weights at times ``t`` ``(batch,)``."""
        raise NotImplementedError

    def sample(
        self, x0: Tensor, x1: Tensor, t: float | Tensor, *, generator: torch.Generator | None = None
    ) -> PathSample:
        """The point at times ``t`` of the trajectory from ``x0`` to ``x1``, and its velocity."""
        check_ends(x0, x1)
        t = batch_times(t, x0)
        at_t = self.coefficients(t)
        z = _latent(at_t, x0, generator)
        return PathSample(_point(at_t, x0, x1, z), _velocity(at_t, x0, x1, z), t)

    def pair(
        self,
        x0: Tensor,
        x1: Tensor,
        s: float | Tensor,
        t: float | Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> PathPair:
        """Two points at times ``s < t`` of one trajectory, with the velocity at ``t``."""
        check_ends(x0, x1)
        s, t = batch_times(s, x0, name="s"), batch_times(t, x0)
        check_order(s, t)
        at_s, at_t = self.coefficients(s), self.coefficients(t)
        z = _latent(at_t, x0, generator)
        return PathPair(_point(at_s, x0, x1, z), _point(at_t, x0, x1, z), _velocity(at_t, x0, x1, z), s, t)


def _latent(c: Coefficients, x0: Tensor, generator: torch.Generator | None) -> Tensor | None:
    if c.gamma is None:
        return None
    return torch.randn(x0.shape, dtype=x0.dtype, device=x0.device, generator=generator)


def _point(c: Coefficients, x0: Tensor, x1: Tensor, z: Tensor | None) -> Tensor:
    return _combine(c.alpha, c.beta, c.gamma, x0, x1, z)


def _velocity(c: Coefficients, x0: Tensor, x1: Tensor, z: Tensor | None) -> Tensor:
    return _combine(c.d_alpha, c.d_beta, c.d_gamma, x0, x1, z)


def _combine(a: Tensor, b: Tensor, g: Tensor | None, x0: Tensor, x1: Tensor, z: Tensor | None) -> Tensor:
    total = expand_time(a, x0) * x0 + expand_time(b, x0) * x1
    return total if g is None or z is None else total + expand_time(g, x0) * z
