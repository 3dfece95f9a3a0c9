"""Dispersion of each gene around expectations at drawn latent factors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scif.counts.config import DispersionConfig
from scif.counts.data.batch import CountBatch, numbered
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.parameters import Dispersion, LatentPrior
from scif.counts.statistics.shape_grid import GRID, posterior_shapes
from scif.counts.statistics.technical import divided
from scif.parallel import spread

__all__ = ["drawn_dispersion"]


@torch.no_grad()
def drawn_dispersion(
    network: CountNetwork,
    prior: LatentPrior,
    cells: CellSample,
    config: DispersionConfig,
    *,
    factors: Tensor,
    technical: Tensor | float,
) -> Dispersion:
    """Estimate each gene's dispersion around expectations at drawn latent factors, by likelihood.

    Unlike the dispersion around the network's expectation it contains no uncertainty of the factors.

    Parameters
    ----------
    network, prior
        The network and the decoder of the factors.
    cells
        Cells.
    config
        Constants.
    factors
        Draws from the posteriors of these cells and perhaps of more, ``(cells, k)``.
    technical
        Technical inverse dispersion, one number or ``(genes,)``.
    """
    loss = torch.zeros(len(GRID), network.num_genes, dtype=torch.float64)
    expression = torch.zeros(network.num_genes, dtype=torch.float64)

    def losses_of(given: tuple[CountBatch, slice]) -> tuple[Tensor, Tensor]:
        batch, rows = given
        counts = batch.x
        totals = counts.totals()
        offset = network.offset(batch.batch, totals)
        mu = totals[:, None] * torch.softmax(prior.loose.logits(factors[rows], offset), 1)
        at_entries = mu[counts.rows, counts.columns]
        of_genes = EntrySums(counts.rows, counts.columns, mu.shape, axis=0)
        losses = []
        for shape in GRID.tolist():
            absent = shape * torch.log1p(mu / shape).sum(0)
            ways = torch.lgamma(counts.values + shape) - math.lgamma(shape)
            losses.append(absent + of_genes(counts.values * torch.log(at_entries + shape) - ways))
        return torch.stack(losses).cpu(), mu.sum(0).cpu()

    for some, expected in spread(losses_of, numbered(cells, cells.device), on=cells.device):
        loss += some
        expression += expected
    shapes = posterior_shapes(loss, expression, rounds=config.variance_rounds)
    return divided(shapes, technical, cells.device)
