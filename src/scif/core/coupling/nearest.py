"""The nearest of a few noise candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core.coupling.base import Coupled, Coupling, squared_distances

__all__ = ["NearestNoise"]


class NearestNoise(Coupling):
    """Pair each sample with the nearest of a few randomly chosen noise draws of the batch.

    This is cheaper than optimal transport and independent of the batch size, at the price of slightly non-normal noise.

    Parameters
    ----------
    candidates
        Number of draws to choose from; 1 gives an independent coupling, the batch size the nearest of all draws.

    References
    ----------
    Li et al., "Improved immiscible diffusion: accelerate diffusion training by reducing its miscibility",
    arXiv 2505.18521.

    Examples
    --------
    >>> import torch
    >>> from scif.core.coupling import NearestNoise
    >>> pairs = NearestNoise(candidates=2)(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]]))
    >>> pairs.x1.flatten().tolist()
    [1.0, 4.0]
    """

    def __init__(self, candidates: int = 4) -> None:
        if candidates < 1:
            msg = f"candidates is {candidates}; each sample needs at least one noise draw to choose from."
            raise ValueError(msg)
        self.candidates = candidates

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Give each sample of ``x0`` its nearest candidate from ``x1``; one noise may serve several samples."""
        n = x0.shape[0]
        if self.candidates > n:
            msg = f"candidates is {self.candidates} but the batch has {n} noise draws; take a larger batch."
            raise ValueError(msg)
        # the candidates of a sample are the first few of its own random order of the batch
        order = torch.rand(n, n, device=x0.device, generator=generator).argsort(1)[:, : self.candidates]
        cost = squared_distances(x0.detach(), x1.detach()).gather(1, order)
        return Coupled(x0, x1[order.gather(1, cost.argmin(1, keepdim=True)).squeeze(1)])
