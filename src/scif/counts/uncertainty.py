"""Uncertainty of a trained count model: its parameters handed to the pure functions of the posterior.

This is the one place where the module and ``posterior.spread``, ``posterior.draws`` and ``posterior.correlation`` meet.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.draws import Factors
from scif.counts.posterior.loadings_posterior import LoadingsPosterior, loadings_posterior
from scif.counts.posterior.outliers import find_outlying
from scif.counts.posterior.spread import Spread, log_rate_variance, posterior_spread

__all__ = ["drawn_expectations", "factors_of", "latent_prior", "loadings_of", "spread_of"]


def latent_prior(model: CountConsistency) -> dict[str, Tensor]:
    """Components of the latent prior in the directions that have loadings: log weights, means, roots of covariances."""
    prior, used = model.prior, _used(model)
    there = (prior.log_weights > -torch.inf).nonzero()[:, 0]
    root = prior.root[there][:, used][:, :, used]
    return {"log_weights": prior.log_weights[there], "centre": prior.centre[there][:, used], "root": root}


def loadings_of(model: CountConsistency) -> LoadingsPosterior | None:
    """Posterior of the loadings; None without a fitted prior."""
    prior = model.prior
    if not prior.fitted or float(prior.seen[0]) == 0.0:
        return None
    cells, depth = prior.seen.tolist()
    loose, known = prior.loose_loadings[:, _used(model)], latent_prior(model)
    dispersion = 1.0 / prior.residual_shape
    return loadings_posterior(loose, prior.loose_bias, dispersion=dispersion, cells=cells, depth=depth, **known)


def factors_of(model: CountConsistency, cell: CountBatch, uncertain: LoadingsPosterior | None) -> Factors | None:
    """Posterior of the latent factors of cells; None without a fitted prior."""
    if not model.prior.fitted or uncertain is None:
        return None
    one, used, known = torch.ones_like(cell.library), _used(model), latent_prior(model)
    latent = model.network.latent(cell.x, one, library=cell.library, batch=cell.batch)
    found = model._codes(cell.x, one, latent, cell.batch)
    there = (model.prior.log_weights > -torch.inf).nonzero()[:, 0]
    means, variances = found.means[:, there][..., used], found.variances[:, there][..., used]
    loadings = model.prior.loadings[:, used]
    return Factors(found.weights[:, there], means, variances, known["root"], loadings, uncertain)


def spread_of(model: CountConsistency, cell: CountBatch, mean: Tensor, factors: Factors | None) -> Spread:
    """Posterior spread around estimates ``(cells, genes)``, at whatever library size these have."""
    one, alone = torch.ones_like(cell.library), model.credibility == 0.0
    rho = model.rates(cell.x, one, library=cell.library, batch=cell.batch)
    mu = model.at_depth(cell.library[:, None] * rho, one, library=cell.library, batch=cell.batch)
    scale = model.cell_scale.factors(model.scales(cell.x, mu, one)) if model.residual else one[:, None]
    share = 1.0 - model.signal_share(mu, one, shape=model._own(model.residual_shape) * scale)
    own = (model.prior.spread_shape if factors is not None else model.residual_shape) * scale
    if not model.residual:
        own = torch.full_like(mu, float(model._own(model.residual_shape)[0]))
    shape = own.expand_as(mu) + _signal(model, cell, mu, own)
    if model.residual:
        far = find_outlying(cell.x, mu, own.expand_as(mu), one, inverse_dispersion=model.technical)
        shape = far.into(shape, cell.x.dense()[far.rows, far.columns])
        share = far.into(share, 1.0 - far.share)
    if factors is None:
        return posterior_spread(mean, shape, share, None)
    uncertain = factors.uncertain
    variance = log_rate_variance(
        factors.mean(), factors.covariance(), factors.loadings, rho=rho, uncertain=uncertain
    )
    if uncertain is not None:  # the variation of genes that share none is around their profile, and holds the rest
        variance = torch.where(alone, uncertain.bias, variance)
    return posterior_spread(mean, shape, share, variance, alone=alone)


def drawn_expectations(
    model: CountConsistency, cell: CountBatch, *, uncertain: LoadingsPosterior, generator: torch.Generator
) -> Tensor:
    """Expected counts ``(cells, genes)`` at drawn factors and loadings; those of genes that share none as estimated."""
    one, totals = torch.ones_like(cell.library), cell.x.totals()
    rho = model.rates(cell.x, one, library=cell.library, batch=cell.batch)
    factors = factors_of(model, cell, uncertain)
    assert factors is not None  # there is a posterior of the loadings
    (cells, _, k), genes = factors.means.shape, len(factors.loadings)
    uniform = torch.rand(cells, generator=generator).to(totals)
    z = factors.draw(uniform, torch.randn(cells, k, generator=generator).to(totals))
    loadings, bias = uncertain.draw(torch.randn(genes, k + 1, generator=generator).to(totals))
    logits = torch.addmm(model.prior.bias + bias, z, (factors.loadings + loadings).T)
    offset = model.network.offset(cell.batch, z)
    drawn = torch.softmax(logits if offset is None else logits + offset, 1) * model.credibility
    alone = rho * (model.credibility == 0.0)
    left = 1.0 - alone.sum(1, keepdim=True)
    drawn = drawn * (left / drawn.sum(1, keepdim=True).clamp_min(1e-12)) + alone
    return model.at_depth(totals[:, None] * drawn, one, library=cell.library, batch=cell.batch)


def _signal(model: CountConsistency, cell: CountBatch, mu: Tensor, own: Tensor) -> Tensor:
    """What counts add to the gamma shape of the gene-specific variation: themselves, less with technical noise."""
    x = cell.x.dense()
    return x if model.technical is None else x / (1.0 + mu * (1.0 + 1.0 / own) / model.technical)


def _used(model: CountConsistency) -> Tensor:
    """Directions that have loadings."""
    return (model.prior.loose_loadings.abs().amax(0) > 0).nonzero()[:, 0]
