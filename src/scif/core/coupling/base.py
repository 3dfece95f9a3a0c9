"""Couplings: which observation (or noise) goes with which clean signal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.core._check import check_finite, check_same_shape

__all__ = ["Coupled", "Coupling"]


@dataclass(frozen=True)
class Coupled:
    """Pairs of clean ``x0`` and observed ``x1`` ``(batch, ...)``, with loss weights ``(batch,)`` of mean 1 or none."""

    x0: Tensor
    x1: Tensor
    weights: Tensor | None = None


class Coupling:
    """A rule that pairs clean signals with observations, or data with noise for generative use.

    Every coupling is called as ``coupling(x0, x1=None, *, generator=None)``; without ``x1`` it draws standard normal
    noise. Pairs keep the order of ``x0``, so labels of ``x0`` remain valid.
    """

    def __call__(self, x0: Tensor, x1: Tensor | None = None, *, generator: torch.Generator | None = None) -> Coupled:
        """Pair a batch.

        Parameters
        ----------
        x0
            Clean signals or data, ``(batch, ...)``.
        x1
            Noise of the same shape; standard normal if not given.
        generator
            Random generator.

        Raises
        ------
        ValueError
            If the shapes differ, or a value is not finite.
        """
        check_finite(x0, name="x0")
        if x1 is None:
            x1 = torch.randn(x0.shape, dtype=x0.dtype, device=x0.device, generator=generator)
        check_same_shape(x0, x1, names=("x0", "x1"))
        check_finite(x1, name="x1")
        return self.couple(x0, x1, generator=generator)

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Pair two batches of the same shape."""
        raise NotImplementedError


def squared_distances(x0: Tensor, x1: Tensor) -> Tensor:
    """Squared Euclidean distances ``(batch, batch)`` between two batches."""
    return torch.cdist(x0.flatten(1), x1.flatten(1)).square()
