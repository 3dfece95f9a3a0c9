"""Paths: conditional trajectories between a clean ``x0`` (t = 0) and an observed ``x1`` (t = 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import check_same_shape

__all__ = ["Path", "PathPair", "PathSample"]


@dataclass(frozen=True)
class PathSample:
    """A point of a conditional trajectory."""

    x_t: Tensor
    """The point, ``(batch, ...)``."""
    u_t: Tensor
    """Its velocity ``dx_t/dt``."""
    t: Tensor
    """Its time, ``(batch,)``."""


@dataclass(frozen=True)
class PathPair:
    """Two points of *one* conditional trajectory."""

    x_s: Tensor
    """The earlier (cleaner) point, ``(batch, ...)``."""
    x_t: Tensor
    """The later point."""
    u_t: Tensor
    """The velocity at the later point."""
    s: Tensor
    """Time of the earlier point, ``(batch,)``."""
    t: Tensor
    """Time of the later point, above ``s``."""


class Path:
    """Conditional trajectory between two given ends."""

    def sample(
        self, x0: Tensor, x1: Tensor, t: float | Tensor, *, generator: torch.Generator | None = None
    ) -> PathSample:
        """Point of the trajectory from ``x0`` to ``x1`` at the given times.

        Parameters
        ----------
        x0
            Clean end, ``(batch, ...)``.
        x1
            Observed end, of the same shape.
        t
            One time in [0, 1] for all samples, or one per sample ``(batch,)``.
        generator
            Random generator, for paths with latent noise.

        Raises
        ------
        ValueError
            If the ends differ in shape, if times lie outside [0, 1], or if their number does not fit.
        """
        raise NotImplementedError

    def pair(
        self,
        x0: Tensor,
        x1: Tensor,
        s: float | Tensor,
        t: float | Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> PathPair:
        """Two points at times ``s < t`` of one trajectory; any latent noise is drawn once for both.

        Parameters and errors are those of :meth:`sample`; ``s`` must be below ``t``.
        """
        raise NotImplementedError


def check_ends(x0: Tensor, x1: Tensor) -> None:
    """Raise ``ValueError`` unless both ends of a path have the same shape."""
    check_same_shape(x0, x1, names=("x0", "x1"))


def check_order(s: Tensor, t: Tensor) -> None:
    """Raise ``ValueError`` unless every ``s`` is below its ``t``."""
    if torch.compiler.is_compiling():
        return
    wrong = s >= t
    if bool(wrong.any()):
        msg = (
            f"s = {float(s[wrong][0]):g} is not below t = {float(t[wrong][0]):g}; "
            "a pair needs s < t, as the times of draw_interval are."
        )
        raise ValueError(msg)
