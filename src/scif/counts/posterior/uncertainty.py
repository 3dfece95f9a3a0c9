"""Uncertainty of the expected counts of a fitted model: where its parameters meet ``spread`` and ``draws``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.data.batch import CountBatch
from scif.counts.network import CountNetwork
from scif.counts.posterior.draws import COUNTS, CellNumbers, Factors, draw_counts, draw_expected
from scif.counts.posterior.estimate import scales
from scif.counts.posterior.expectation import (
    at_depth,
    composition,
    latent_factors,
    posterior_factors,
    with_constant_genes,
)
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.loadings_posterior import LoadingsPosterior, loadings_posterior
from scif.counts.posterior.outliers import find_outliers
from scif.counts.posterior.parameters import LatentPrior, Parameters
from scif.counts.posterior.spread import Spread, log_rate_variance, posterior_spread

__all__ = ["CountUncertainty", "drawn_expectation", "prior_components", "uncertain_loadings"]


def prior_components(prior: LatentPrior) -> dict[str, Tensor]:
    """Log weights, means and roots of the covariances of the latent prior's components."""
    return {"log_weights": prior.log_weights, "centre": prior.centre, "root": prior.root}


def uncertain_loadings(prior: LatentPrior, *, cells: float, depth: float) -> LoadingsPosterior:
    """Posterior of the loadings, fitted to ``cells`` cells of ``depth`` molecules."""
    loose, dispersion = prior.loose, prior.residual_shape.reciprocal()
    known = prior_components(prior)
    return loadings_posterior(loose.weight, loose.bias, dispersion=dispersion, cells=cells, depth=depth, **known)


@dataclass(frozen=True)
class CountUncertainty:
    """Intervals and draws of the expected counts of cells.

    Attributes
    ----------
    network, parameters
        The fitted model.
    loadings
        Posterior of the loadings; None without a latent prior. Latent factors are then taken to be known.
    """

    network: CountNetwork
    parameters: Parameters
    loadings: LoadingsPosterior | None

    @classmethod
    def of(cls, network: CountNetwork, parameters: Parameters) -> CountUncertainty:
        """Compute the posterior of the loadings of a fitted model."""
        prior, known = parameters.prior, parameters.uncertainty
        if prior is None or known is None:
            return cls(network, parameters, None)
        return cls(network, parameters, uncertain_loadings(prior, cells=known.cells, depth=known.depth))

    def factors(self, cells: CountBatch) -> Factors | None:
        """Posterior of the latent factors of cells, with the decoder."""
        prior = self.parameters.prior
        if prior is None or self.loadings is None:
            return None
        latent = latent_factors(self.network, cells)
        posterior = posterior_factors(self.network, self.parameters, cells, latent)
        return Factors(posterior, prior.root, prior.loadings.weight, self.loadings)

    def spread(self, cells: CountBatch, mean: Tensor, factors: Factors | None) -> Spread:
        """Posterior around estimates ``mean (cells, genes)``, at whatever library sizes these have."""
        parameters = self.parameters
        rho = composition(self.network, parameters, cells)
        mu = at_depth(parameters, cells.library[:, None] * rho, cells)
        technical, credible = parameters.dispersion.technical, parameters.credibility
        alone = torch.zeros_like(mu[0], dtype=torch.bool) if credible is None else credible == 0.0
        size = torch.where(alone, 1.0, scales(parameters, cells.x, mu)[:, None])
        share = 1.0 - signal_share(mu, parameters.own(parameters.dispersion.residual_shape * size), technical)
        known = parameters.uncertainty
        own = parameters.own((parameters.dispersion.residual_shape if known is None else known.shape) * size)
        counts = cells.x.dense()
        signal = counts if technical is None else counts / (1.0 + mu * (1.0 + 1.0 / own) / technical)
        shape = own + signal
        if parameters.residual:
            far = find_outliers(cells.x, mu, own, inverse_dispersion=technical)
            shape = far.into(shape, counts[far.rows, far.columns])
            share = far.into(share, 1.0 - far.share)
        if factors is None or factors.uncertain is None:
            return posterior_spread(mean, shape, share, None)
        centre, covariance = factors.posterior.mean(), factors.covariance()
        variance = log_rate_variance(centre, covariance, factors.loadings, rho=rho, uncertain=factors.uncertain)
        # genes that share no variance vary around their profile: their shape holds all but the profile's uncertainty
        variance = torch.where(alone, factors.uncertain.bias, variance)
        return posterior_spread(mean, shape, share, variance, alone=alone)

    def sd(self, cells: CountBatch, mean: Tensor) -> Tensor:
        """Posterior standard deviations ``(cells, genes)``."""
        return self.spread(cells, mean, self.factors(cells)).sd()

    def quantiles(self, cells: CountBatch, mean: Tensor, probabilities: tuple[float, ...]) -> Tensor:
        """Posterior quantiles ``(probabilities, cells, genes)``."""
        around = self.spread(cells, mean, self.factors(cells))
        return torch.stack([around.quantile(probability) for probability in probabilities])

    def draws(
        self,
        cells: CountBatch,
        mean: Tensor,
        *,
        rows: Tensor,
        genes: Tensor,
        n_samples: int,
        seed: int,
        counts: bool = False,
        average: bool = False,
    ) -> Tensor:
        """Draws of the expected counts, or of counts, of some genes ``(n_samples, cells, genes)``, or their average.

        Parameters
        ----------
        cells, mean
            Counts of cells, and their estimates ``(cells, all genes)``.
        rows
            Numbers of the cells: with the seed they fix the draws, ``(cells,)``.
        genes
            Numbers of the genes.
        n_samples, seed
            How many draws, and their seed.
        counts
            Whether to draw counts from the noise channel given the drawn expectations.
        average
            Whether to return the average alone.
        """
        factors = self.factors(cells)
        around, numbers = self.spread(cells, mean, factors), CellNumbers(rows.tolist(), seed=seed, purpose=COUNTS)
        drawn = draw_expected(around, factors, cells=rows.tolist(), library=mean.sum(1), n_samples=n_samples, seed=seed)
        technical = self.parameters.dispersion.technical
        found = (
            (draw_counts(value, numbers, inverse_dispersion=technical) if counts else value)[:, genes]
            for value in drawn
        )
        if not average:
            return torch.stack(list(found))
        return sum(found, mean.new_zeros(len(mean), len(genes))) / n_samples


def drawn_expectation(
    network: CountNetwork,
    parameters: Parameters,
    cells: CountBatch,
    *,
    uncertain: LoadingsPosterior,
    generator: torch.Generator,
) -> Tensor:
    """Expected counts ``(cells, genes)`` at depth, at factors and loadings drawn from their posteriors.

    Genes that share no variance have their pooled share.

    Parameters
    ----------
    network, parameters
        The fitted model, with its latent prior.
    cells
        Counts.
    uncertain
        Posterior of the loadings.
    generator
        Source of randomness, of the CPU.
    """
    prior = parameters.prior
    assert prior is not None  # the caller has looked
    latent = latent_factors(network, cells)
    factors = Factors(posterior_factors(network, parameters, cells, latent), prior.root, prior.loadings.weight)
    n, k = len(latent), prior.root.shape[2]
    score, uniform = torch.randn(n, k, generator=generator), torch.rand(n, generator=generator)
    z = factors.draw(uniform.to(latent), score.to(latent))
    weight, bias = uncertain.draw(torch.randn(len(factors.loadings), k + 1, generator=generator).to(latent))
    logits = torch.addmm(prior.loadings.bias + bias, z, (factors.loadings + weight).T)
    offset = network.offset(cells.batch, z)
    rho = torch.softmax(logits if offset is None else logits + offset, 1)
    rho = with_constant_genes(network, parameters, rho, cells.batch)
    return at_depth(parameters, cells.x.totals()[:, None] * rho, cells)
