"""Posterior of the latent factors: a mixture of normals for each cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.posterior.laplace import information, laplace, newton_step, unpenalised
from scif.counts.posterior.parameters import LatentPrior

__all__ = ["LatentPosterior", "latent_posterior", "mixture_posterior", "transported"]


@dataclass(frozen=True)
class LatentPosterior:
    """Mixture of normals over the latent factors of each cell.

    Attributes
    ----------
    weights
        Of the components, ``(cells, components)``.
    means
        Mean of each component, ``(cells, components, k)``.
    variances
        Variances along the component's own axes ``root``, ``(cells, components, k)``.
    log_evidence
        Log-likelihood of each cell under the mixture, up to a constant of the cell, ``(cells,)``.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor
    log_evidence: Tensor

    def mean(self) -> Tensor:
        """Posterior mean of the latent factors, ``(cells, k)``."""
        return torch.einsum("nc,nck->nk", self.weights, self.means)

    def covariance(self, root: Tensor) -> Tensor:
        """Posterior covariance ``(cells, k, k)``, given the prior's ``root (components, k, k)``."""
        within = torch.einsum("nc,cka,nca,cla->nkl", self.weights, root, self.variances, root)
        apart = self.means - self.mean()[:, None]
        return within + torch.einsum("nc,nck,ncl->nkl", self.weights, apart, apart)

    def draw(self, root: Tensor, generator: torch.Generator) -> Tensor:
        """One draw for each cell, ``(cells, k)``, given the prior's ``root (components, k, k)``."""
        which = torch.multinomial(self.weights, 1, generator=generator)[:, 0]
        n, k = len(which), root.shape[1]
        cells = torch.arange(n, device=which.device)
        noise = torch.randn(n, k, generator=generator, dtype=root.dtype, device=root.device)
        scaled = self.variances[cells, which].sqrt() * noise
        return self.means[cells, which] + torch.einsum("nka,na->nk", root[which], scaled)


def latent_posterior(
    prior: LatentPrior,
    latent: Tensor,
    counts: Tensor,
    *,
    dispersion: Tensor,
    offset: Tensor | None,
    exact: bool = False,
) -> LatentPosterior:
    """Posterior of each cell's latent factors.

    Parameters
    ----------
    prior
        Distribution of the factors.
    latent
        The network's latent factors, ``(cells, network's k)``. A Newton step leads from them to the likelihood's peak.
    counts
        Observed counts, ``(cells, genes)``.
    dispersion
        Dispersion of each gene beyond Poisson noise, ``(genes,)``.
    offset
        Offsets of the cells' batches on the log-rates, ``(cells, genes)``; None if there are no batches.
    exact
        Whether the Newton step takes each cell's own information instead of its component's average. Posterior means
        are as good with the average, for half the time. Transported and drawn factors need the exact one.
    """
    z = latent @ prior.entry[:-1] + prior.entry[-1]
    at = laplace(counts, z, prior.loose, dispersion=dispersion, offset=offset)
    molecules = counts.sum(1)
    axes = {name: getattr(prior, name) for name in ("log_weights", "centre", "root", "unroot", "information")}
    if exact:
        curvature = information(at.weight, prior.loose.weight) + molecules[:, None, None] * prior.noise
    else:
        per_molecule = prior.unroot.mT @ (prior.information[:, :, None] * prior.unroot)
        weights = mixture_posterior(z, molecules, **axes).weights
        curvature = molecules[:, None, None] * torch.einsum("nc,cij->nij", weights, per_molecule)
    z = newton_step(z, at.slope(prior.loose.weight), curvature)
    return mixture_posterior(unpenalised(z, curvature), molecules, **axes)


def transported(prior: LatentPrior, posterior: LatentPosterior) -> Tensor:
    """Latent factors ``(cells, k)`` distributed as the prior: optimal transport within each component."""
    moved = prior.centre + torch.einsum("cij,ncj->nci", prior.stretch, posterior.means - prior.centre)
    return torch.einsum("nc,nck->nk", posterior.weights, moved)


def mixture_posterior(
    z: Tensor,
    molecules: Tensor,
    *,
    log_weights: Tensor,
    centre: Tensor,
    root: Tensor,
    unroot: Tensor,
    information: Tensor,
) -> LatentPosterior:
    """Posterior under the mixture of factors whose likelihood has its peak at ``z (cells, k)``.

    The curvature of a cell's log-likelihood is its number of molecules ``(cells,)`` times the information per molecule
    of the component; the other arguments are those of :class:`~scif.counts.posterior.parameters.LatentPrior`.
    """
    along = torch.einsum("cak,nck->nca", unroot, z[:, None] - centre)  # in the component's own axes
    precision = molecules[:, None, None] * information
    variances = 1.0 / (1.0 + precision)
    moved = precision * along * variances
    evidence = 0.5 * (variances.log() - along * moved).sum(2) + log_weights
    means = centre + torch.einsum("cka,nca->nck", root, moved)
    return LatentPosterior(torch.softmax(evidence, 1), means, variances, torch.logsumexp(evidence, 1))
