"""Stage: loadings of the output layer as posterior means."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.config import LoadingsConfig
from scif.counts.data.batch import CountBatch, numbered
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.factors import StandardFactors
from scif.counts.posterior.parameters import Loadings, Parameters
from scif.counts.statistics.gene_regression import GeneRegressions
from scif.counts.statistics.shrinkage import second_moment, shrink
from scif.parallel import spread

__all__ = ["LoadingsFit", "fit_loadings"]


@dataclass(frozen=True)
class LoadingsFit:
    """Loadings as posterior means.

    Attributes
    ----------
    loadings
        The output layer.
    change
        Root mean square change of the loadings, in units of a log-rate at factors of variance one.
    """

    loadings: Loadings
    change: float

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        return f"loadings moved by {self.change:.2f} (root mean square)"


@torch.no_grad()
def fit_loadings(
    network: CountNetwork, parameters: Parameters, cells: CellSample, config: LoadingsConfig, *, at: StandardFactors
) -> LoadingsFit:
    r"""Replace the loadings by their posterior means given the latent factors.

    Stochastic gradients stop before the loadings of most genes have settled. Given factors ``z`` each gene is a small
    negative binomial regression, :math:`x_{ng} \sim L_n \exp(b_g + w_g^\top z_n)`. One Newton step from the network's
    loadings finds its likelihood, and :func:`~scif.counts.statistics.shrinkage.shrink` the posterior mean under a prior
    that all genes share. A gene's own counts move the factors, too; a first-order correction of the gradient removes
    that.

    Parameters
    ----------
    network, parameters
        The trained network with provisional dispersions.
    cells
        Cells.
    config
        Constants.
    at
        Latent factors of these cells.
    """
    dispersion = parameters.dispersion.total
    start = network.output.moved(at.centre, at.unwhiten)
    z = at.coordinates()
    sums = GeneRegressions(start.weight, z, at.group)

    def slopes_of(given: tuple[CountBatch, slice]) -> tuple[slice, Tensor, Tensor, Tensor]:
        batch, rows = given
        totals, dense = batch.x.totals(), batch.x.dense()
        logits = torch.addmm(start.bias, z[rows], start.weight.T)
        offset = network.offset(batch.batch, totals)
        if offset is not None:
            logits += offset
        mu = totals[:, None] * torch.softmax(logits, 1)
        certainty = 1.0 / (1.0 + mu * dispersion)
        weight, residual = mu * certainty, (dense - mu) * certainty
        scale = (network.depth / batch.library)[:, None]
        # what a gene's own residual adds to the argument of its response in the factors
        surprise = torch.log1p(dense * scale) - torch.log1p(mu * scale)
        return rows, weight, residual, (residual * surprise).sum(0)

    for rows, weight, residual, surprise in spread(slopes_of, numbered(cells, cells.device), on=cells.device):
        sums.add(rows, weight, residual, correction=surprise[:, None] * at.response)
    prior = sums.learn_prior(guess=second_moment(start.weight), rounds=config.prior_rounds)
    change = sums.change(shrink, prior=prior)
    bias = start.bias + sums.bias_change(change)
    weight = (start.weight + change) @ at.whiten.T
    return LoadingsFit(Loadings(weight, bias - weight @ at.centre), float(change.square().mean().sqrt()))
