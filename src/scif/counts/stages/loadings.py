"""The last step of training: the output layer, gene by gene, as the posterior mean under a learned prior."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch, numbered
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.statistics.gene_regression import GeneRegressions
from scif.counts.statistics.mixture import like_codes
from scif.counts.statistics.shrinkage import second_moment, shrink
from scif.parallel import spread

__all__ = ["WhitenedCodes", "refit_loadings", "whiten_codes"]


@dataclass(frozen=True)
class WhitenedCodes:
    """Coordinates in which the codes of the cells have mean zero and covariance one.

    Attributes
    ----------
    latent
        The network's codes, ``(cells, width)``.
    centre
        Their mean, ``(width,)``.
    whiten, unwhiten
        Maps ``(width, k)`` of codes to these coordinates, and of loadings.
    response
        How a gene's log-normalised count moves a cell's coordinates, ``(genes, k)``.
    group
        One in the column of the group of cells with like codes that a cell belongs to, ``(cells, groups)``.
    """

    latent: Tensor
    centre: Tensor
    whiten: Tensor
    unwhiten: Tensor
    response: Tensor
    group: Tensor

    def coordinates(self) -> Tensor:
        """Of the cells, ``(cells, k)``."""
        return (self.latent - self.centre) @ self.whiten


@torch.no_grad()
def refit_loadings(model: CountConsistency, cells: Callable[[], Iterable[CountBatch]], *, at: WhitenedCodes) -> None:
    r"""Replace loadings and biases of the output layer by their posterior means given the latent codes.

    Stochastic gradients stop before the loadings of most genes have settled, and pull all genes alike. Given codes
    ``z`` each gene is a small regression of its own, :math:`x_{ig} \sim L_i \exp(b_g + w_g^\top z_i)`, negative
    binomial with the gene's own variation: one Newton step from where training ended finds its likelihood, and
    ``shrink`` its posterior mean. A gene's own counts also move the codes, so that it
    would seem to follow them; to first order the gradient is that on codes which have not seen it.

    Parameters
    ----------
    model
        The denoiser; its network is changed in place.
    cells
        Gives minibatches of counts, as often as asked, always the same cells in the same order.
    at
        Their codes.
    """
    network, dispersion = model.network, model.dispersion
    loadings = network.loadings @ at.unwhiten
    bias = network.bias + network.loadings @ at.centre
    z = at.coordinates()
    sums = GeneRegressions(loadings, z, at.group)

    def seen(cell: tuple[CountBatch, slice]) -> tuple[slice, Tensor, Tensor, Tensor]:
        here, rows = cell
        totals, dense = here.x.totals(), here.x.dense()
        logits = torch.addmm(bias, z[rows], loadings.T)
        offset = network.offset(here.batch, totals)
        if offset is not None:
            logits += offset
        mu = totals[:, None] * torch.softmax(logits, 1)
        certainty = 1.0 / (1.0 + mu * dispersion)
        weight, rest = mu * certainty, (dense - mu) * certainty
        scale = (network.depth / here.library)[:, None]
        # what a gene's surprise adds to the argument of its response in the code
        surprise = torch.log1p(dense * scale) - torch.log1p(mu * scale)
        return rows, weight, rest, (rest * surprise).sum(0)

    for rows, weight, rest, surprise in spread(seen, numbered(cells(), model.device), on=model.device):
        sums.add(rows, weight, rest, correction=surprise[:, None] * at.response)
    prior = sums.learn_prior(guess=second_moment(loadings))
    change = sums.change(shrink, prior=prior)
    bias = bias + sums.bias_change(change)
    loadings = (loadings + change) @ at.whiten.T
    network.loadings.copy_(loadings)
    network.bias.copy_(bias - loadings @ at.centre)


@torch.no_grad()
def whiten_codes(model: CountConsistency, cells: Callable[[], Iterable[CountBatch]]) -> WhitenedCodes:
    """Look at the codes of all cells; the output layer has no part in them."""
    network = model.network
    codes, scores = [], []
    for cell in cells():
        here = cell.to(model.device)
        codes.append(network.latent(here.x, torch.ones_like(here.library), library=here.library, batch=here.batch))
        scores.append(network.scores(here.x, here.library, batch=here.batch))
    latent = torch.cat(codes)
    z, f = latent.cpu().double(), torch.cat(scores).cpu().double()
    centre = z.mean(0)
    z, f = z - centre, f - f.mean(0)
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    kept = values > 1e-4 * values[-1].clamp_min(1e-12)
    whiten, unwhiten = vectors[:, kept] / values[kept].sqrt(), vectors[:, kept] * values[kept].sqrt()
    linear = torch.linalg.lstsq(f.T @ f + 1e-6 * len(f) * torch.eye(f.shape[1], dtype=f.dtype), f.T @ (z @ whiten))
    response = (network.components / network.spread) @ linear.solution.to(network.spread)
    centre, whiten, unwhiten = (part.to(response) for part in (centre, whiten, unwhiten))
    group = torch.nn.functional.one_hot(like_codes((latent - centre) @ whiten)).to(response)
    return WhitenedCodes(latent, centre, whiten, unwhiten, response, group)
