"""What a cell's counts say of its latent code: a parabola around the most likely code."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CodeLikelihood", "climb", "look", "pairs", "release", "symmetric"]

#: Longest step of the search for a code; what is taken for no information, and how far that may move a code.
MAX_STEP, LITTLE, MAX_RELEASE = 2.0, 0.1, 1.0


@dataclass(frozen=True)
class CodeLikelihood:
    """Log-likelihood of cells' codes near a guess ``z``, by the slope and information of each count on its log-rate.

    Attributes
    ----------
    weight, rest
        Information of each count on its log-rate, and slope there, ``(cells, genes)``.
    """

    weight: Tensor
    rest: Tensor

    def slope(self, loadings: Tensor) -> Tensor:
        """In the codes ``(cells, k)``, given loadings ``(genes, k)``; the level of a cell's log-rates is free."""
        share = self.rest.sum(1) / self.weight.sum(1).clamp_min(1e-12)
        slope, level = (loadings.T @ part.T for part in (self.rest, self.weight))  # twice as fast as the transposed
        return (slope - share * level).T


def information(weight: Tensor, loadings: Tensor) -> Tensor:
    """Information on codes ``(groups, k, k)`` of counts with information ``weight (groups, genes)`` on log-rates."""
    mean = weight @ loadings
    level = weight.sum(1).clamp_min(1e-12)[:, None, None]
    return symmetric(weight @ pairs(loadings)) - mean[:, :, None] * mean[:, None, :] / level


def pairs(vectors: Tensor) -> Tensor:
    """Products of entries ``i <= j`` of vectors ``(n, k)``, ``(n, k (k + 1) / 2)``."""
    i, j = torch.triu_indices(vectors.shape[1], vectors.shape[1], device=vectors.device)
    return vectors[:, i] * vectors[:, j]


def symmetric(upper: Tensor) -> Tensor:
    """Symmetric matrices ``(n, k, k)`` whose entries ``i <= j`` are given in the order of ``pairs``."""
    k = int((2 * upper.shape[1]) ** 0.5)
    i, j = torch.triu_indices(k, k, device=upper.device)
    full = upper.new_empty(len(upper), k, k)
    full[:, i, j] = upper
    full[:, j, i] = upper
    return full


def look(
    counts: Tensor, codes: Tensor, loadings: Tensor, bias: Tensor, *, dispersion: Tensor, offset: Tensor | None
) -> CodeLikelihood:
    """Negative binomial counts ``(cells, genes)`` given codes ``(cells, k)`` and each cell's total."""
    logits = torch.addmm(bias, codes, loadings.T)
    if offset is not None:
        logits += offset
    mu = torch.softmax(logits, 1).mul_(counts.sum(1, keepdim=True))
    certainty = (mu * dispersion).add_(1.0).reciprocal_()
    rest = (counts - mu).mul_(certainty)
    return CodeLikelihood(mu.mul_(certainty), rest)


def climb(codes: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """A Newton step towards the most likely codes ``(cells, k)`` under a standard normal prior."""
    one = torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)
    step = torch.linalg.solve(curvature + one, (slope - codes)[..., None])[..., 0]
    return codes + step.clamp(-MAX_STEP, MAX_STEP)


def release(codes: Tensor, curvature: Tensor) -> Tensor:
    """Where the likelihood alone has its peak, ``(cells, k)``, given where ``climb`` has come to rest."""
    little = LITTLE * torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)
    step = torch.linalg.solve(curvature + little, codes[..., None])[..., 0]
    return codes + step.clamp(-MAX_RELEASE, MAX_RELEASE)
