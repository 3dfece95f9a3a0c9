"""Latent factors of all cells in standard coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.expectation import latent_factors
from scif.counts.statistics.mixture import similar_cells

__all__ = ["StandardFactors", "standard_factors"]


@dataclass(frozen=True)
class StandardFactors:
    """Coordinates in which the latent factors of the cells have mean zero and covariance one.

    Attributes
    ----------
    latent
        The network's latent factors, ``(cells, width)``.
    centre
        Their mean, ``(width,)``.
    whiten, unwhiten
        Maps ``(width, k)`` of factors to these coordinates, and of loadings.
    response
        How a gene's log-normalised count moves a cell's coordinates, ``(genes, k)``.
    group
        One in the column of a cell's group of similar cells, ``(cells, groups)``.
    """

    latent: Tensor
    centre: Tensor
    whiten: Tensor
    unwhiten: Tensor
    response: Tensor
    group: Tensor

    def coordinates(self) -> Tensor:
        """Standard coordinates of the cells, ``(cells, k)``."""
        return (self.latent - self.centre) @ self.whiten


@torch.no_grad()
def standard_factors(network: CountNetwork, cells: CellSample) -> StandardFactors:
    """Compute the latent factors of all cells, and standardise them; the output layer plays no part."""
    factors, scores = [], []
    for batch in cells:
        factors.append(latent_factors(network, batch))
        scores.append(network.scores(batch.x, batch.library, batch=batch.batch))
    latent = torch.cat(factors)
    z, f = latent.cpu().double(), torch.cat(scores).cpu().double()
    centre = z.mean(0)
    z, f = z - centre, f - f.mean(0)
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    kept = values > 1e-4 * values[-1].clamp_min(1e-12)
    whiten, unwhiten = vectors[:, kept] / values[kept].sqrt(), vectors[:, kept] * values[kept].sqrt()
    linear = torch.linalg.lstsq(f.T @ f + 1e-6 * len(f) * torch.eye(f.shape[1], dtype=f.dtype), f.T @ (z @ whiten))
    response = (network.components / network.spread) @ linear.solution.to(network.spread)
    centre, whiten, unwhiten = (part.to(response) for part in (centre, whiten, unwhiten))
    group = torch.nn.functional.one_hot(similar_cells((latent - centre) @ whiten)).to(response)
    return StandardFactors(latent, centre, whiten, unwhiten, response, group)
