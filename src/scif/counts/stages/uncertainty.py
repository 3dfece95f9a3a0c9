"""Stage: gene-specific variation around expectations as uncertain as they are, for intervals and draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scif.counts.config import DispersionConfig
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sample import CellSample
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.network import CountNetwork
from scif.counts.posterior.parameters import Parameters, Uncertainty
from scif.counts.posterior.uncertainty import drawn_expectation, uncertain_loadings
from scif.counts.statistics.shape_grid import GRID, posterior_shapes
from scif.counts.statistics.technical import divided

__all__ = ["fit_uncertainty", "shape_losses"]


@torch.no_grad()
def fit_uncertainty(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    config: DispersionConfig,
    *,
    fitted_to: tuple[float, float],
    technical: Tensor | float,
    generator: torch.Generator,
) -> Uncertainty | None:
    """Fit the gamma shapes of the gene-specific variation around drawn factors and drawn loadings.

    Expectations are fitted to the counts that they are compared with, so that counts vary too little around them: the
    gene-specific variation of genes with few molecules is lost. At draws from the posteriors of factors and loadings
    expectations are as far from the counts as the truth is, and the likelihood has no such bias. Genes that share no
    variance are compared with their profile: their shape holds all of their variance.

    Parameters
    ----------
    network, parameters
        The fitted model.
    cells
        Cells.
    config
        Constants of dispersions.
    fitted_to
        Number of cells that loadings were fitted to, and their mean number of molecules.
    technical
        Technical inverse dispersion, one number or ``(genes,)``.
    generator
        Source of randomness, of the CPU.

    Returns
    -------
    None without a latent prior.
    """
    if parameters.prior is None:
        return None
    number, depth = fitted_to
    uncertain = uncertain_loadings(parameters.prior, cells=number, depth=depth)
    loss = torch.zeros(len(GRID), network.num_genes, dtype=torch.float64)
    expression = torch.zeros(network.num_genes, dtype=torch.float64)
    for batch in cells.first(config.few_entries):
        mu = drawn_expectation(network, parameters, batch, uncertain=uncertain, generator=generator)
        loss += shape_losses(batch.x, mu).cpu()
        expression += mu.sum(0).cpu()
    shapes = posterior_shapes(loss, expression, rounds=config.variance_rounds)
    found = divided(shapes, technical, cells.device)
    return Uncertainty(found.residual_shape, float(number), float(depth))


def shape_losses(counts: SparseCounts, mu: Tensor) -> Tensor:
    """Negative log-likelihood of each gene's counts for the shapes of ``GRID``, ``(shapes, genes)``.

    Parameters
    ----------
    counts
        ``(cells, genes)``.
    mu
        Their expectations, ``(cells, genes)``.
    """
    at_entries = mu[counts.rows, counts.columns].clamp_min(1e-30)
    of_genes = EntrySums(counts.rows, counts.columns, mu.shape, axis=0)
    losses = []
    for shape in GRID.tolist():
        absent = shape * torch.log1p(mu / shape).sum(0)
        ways = torch.lgamma(counts.values + shape) - math.lgamma(shape)
        losses.append(absent + of_genes(counts.values * torch.log(at_entries + shape) - ways))
    return torch.stack(losses)
