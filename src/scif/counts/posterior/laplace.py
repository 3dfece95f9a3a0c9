"""Laplace approximation of the likelihood of a cell's latent factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.posterior.parameters import Loadings

__all__ = ["Laplace", "information", "laplace", "newton_step", "pairs", "symmetric", "unpenalised"]

#: Longest Newton step, in standard deviations of the prior: the approximation holds nearby only.
MAX_STEP = 2.0
#: Least information that counts as information, and longest step without the prior.
LEAST_INFORMATION, MAX_RELEASE = 0.1, 1.0


@dataclass(frozen=True)
class Laplace:
    """Log-likelihood of cells near given latent factors.

    Attributes
    ----------
    weight, residual
        Information of each count on its log-rate, and slope of its log-likelihood there, ``(cells, genes)``.
    """

    weight: Tensor
    residual: Tensor

    def slope(self, loadings: Tensor) -> Tensor:
        """Slope in the factors ``(cells, k)``, given loadings ``(genes, k)``; a cell's total is fixed."""
        share = self.residual.sum(1) / self.weight.sum(1).clamp_min(1e-12)
        slope, level = (loadings.T @ part.T for part in (self.residual, self.weight))  # twice as fast as the transposed
        return (slope - share * level).T


def laplace(
    counts: Tensor, factors: Tensor, loadings: Loadings, *, dispersion: Tensor, offset: Tensor | None
) -> Laplace:
    """Approximate negative binomial counts ``(cells, genes)`` near latent factors ``(cells, k)``, given the totals."""
    mu = torch.softmax(loadings.logits(factors, offset), 1).mul_(counts.sum(1, keepdim=True))
    certainty = (mu * dispersion).add_(1.0).reciprocal_()
    residual = (counts - mu).mul_(certainty)
    return Laplace(mu.mul_(certainty), residual)


def information(weight: Tensor, loadings: Tensor) -> Tensor:
    """Information on factors ``(groups, k, k)`` of counts with information ``weight (groups, genes)``."""
    mean = weight @ loadings
    level = weight.sum(1).clamp_min(1e-12)[:, None, None]
    return symmetric(weight @ pairs(loadings)) - mean[:, :, None] * mean[:, None, :] / level


def pairs(vectors: Tensor) -> Tensor:
    """Products of entries ``i <= j`` of vectors ``(n, k)``, ``(n, k (k + 1) / 2)``."""
    i, j = torch.triu_indices(vectors.shape[1], vectors.shape[1], device=vectors.device)
    return vectors[:, i] * vectors[:, j]


def symmetric(upper: Tensor) -> Tensor:
    """Symmetric matrices ``(n, k, k)`` of entries ``i <= j`` in the order of :func:`pairs`."""
    k = int((2 * upper.shape[1]) ** 0.5)
    i, j = torch.triu_indices(k, k, device=upper.device)
    full = upper.new_empty(len(upper), k, k)
    full[:, i, j] = upper
    full[:, j, i] = upper
    return full


def newton_step(factors: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """Newton step towards the most likely factors ``(cells, k)`` under a standard normal prior."""
    one = torch.eye(factors.shape[1], dtype=factors.dtype, device=factors.device)
    step = torch.linalg.solve(curvature + one, (slope - factors)[..., None])[..., 0]
    return factors + step.clamp(-MAX_STEP, MAX_STEP)


def unpenalised(factors: Tensor, curvature: Tensor) -> Tensor:
    """Peak of the likelihood alone, ``(cells, k)``, given the peak with the standard normal prior."""
    least = LEAST_INFORMATION * torch.eye(factors.shape[1], dtype=factors.dtype, device=factors.device)
    step = torch.linalg.solve(curvature + least, factors[..., None])[..., 0]
    return factors + step.clamp(-MAX_RELEASE, MAX_RELEASE)
