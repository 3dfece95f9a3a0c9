"""Gene-specific variation around expectations that are as uncertain as the model says, for intervals and draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.stages.dispersion import GRID, ROUNDS_FOR_VARIANCE, _divide, _posterior_mean
from scif.counts.uncertainty import drawn_expectations, loadings_of

__all__ = ["fit_spread_shape"]


@torch.no_grad()
def fit_spread_shape(
    model: CountConsistency, cells: Sequence[CountBatch], *, technical: Tensor | float | None, seed: int
) -> None:
    r"""Fit the gamma shapes of the gene-specific variation around drawn factors and drawn loadings.

    Expectations are fitted to the counts that they are compared with, and leave too little variation: of a gene with
    few molecules, nothing. Expectations at draws from the posterior of both factors and loadings are as far from the
    counts as the truth is, if the posterior is right, and the likelihood of the counts around them has no such bias.
    Genes that share no variance are compared with their profile, so that their shape holds all of their variance.

    Parameters
    ----------
    model
        The denoiser, trained; ``model.prior.spread_shape`` is changed in place, if there is a fitted prior.
    cells
        Minibatches of counts.
    technical
        As for :func:`~scif.counts.stages.dispersion.fit_variation`.
    seed
        Seed of the draws.
    """
    uncertain = loadings_of(model)
    if uncertain is None or not model.residual:
        return
    generator = torch.Generator().manual_seed(seed)
    loss = torch.zeros(len(GRID), model.network.num_genes, dtype=torch.float64)
    expression = torch.zeros(model.network.num_genes, dtype=torch.float64)
    for cell in cells:
        mu = drawn_expectations(model, cell, uncertain=uncertain, generator=generator)
        loss += shape_losses(cell.x, mu).cpu()
        expression += mu.sum(0).cpu()
    total = _posterior_mean(loss, expression, rounds=ROUNDS_FOR_VARIANCE)
    model.prior.spread_shape.copy_(_divide(total, expression, technical).residual_shape)


def shape_losses(counts: SparseCounts, mu: Tensor) -> Tensor:
    """Negative log-likelihood of the counts of each gene for each of the shapes in `GRID`, ``(shapes, genes)``.

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
        ways = torch.lgamma(counts.values + shape) - math.lgamma(shape)
        here = shape * torch.log1p(mu / shape).sum(0)
        losses.append(here + of_genes(counts.values * torch.log(at_entries + shape) - ways))
    return torch.stack(losses)
