"""Posterior of the loadings: how uncertain every gene's log-rate is, given the latent factors of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.statistics.shrinkage import VectorPrior, learn_prior, ridge, second_moment, uncertain

__all__ = ["LoadingsPosterior", "expected_information", "loadings_posterior"]

#: Rounds of the loadings' prior, as many as the fit of the latent prior makes.
ROUNDS = 4
#: Genes from which the prior is learned at the most, and numbers in the matrices that are solved at a time.
GENES, NUMBERS = 2000, 4_000_000
#: Largest variance of a gene's bias (squared log-rate): that of a gene that was counted once.
LARGEST = 1.0


@dataclass(frozen=True)
class LoadingsPosterior:
    r"""Uncertainty of the log-rates :math:`b_g + w_g^\top z`.

    The log-rate at the factors ``z`` has the variance :math:`\beta_g + (z - c_g)^\top V_g (z - c_g)`.

    Attributes
    ----------
    bias
        :math:`\beta`, variance of the log-rate at the gene's centre, ``(genes,)``.
    centre
        :math:`c`, mean factors of the cells, weighted by their information on each gene, ``(genes, k)``.
    covariance
        :math:`V`, ``(genes, k, k)``.
    """

    bias: Tensor
    centre: Tensor
    covariance: Tensor

    def variance(self, mean: Tensor, moment: Tensor) -> Tensor:
        """Variance of the log-rates ``(cells, genes)``, averaged over the posterior of each cell's factors.

        Parameters
        ----------
        mean
            Posterior mean of the factors, ``(cells, k)``.
        moment
            Their posterior second moment, ``(cells, k, k)``.
        """
        towards = (self.covariance @ self.centre[:, :, None])[..., 0]
        constant = self.bias + (towards * self.centre).sum(1)
        found = torch.addmm(constant, mean, towards.T, alpha=-2.0)
        return found.addmm_(moment.flatten(1), self.covariance.flatten(1).T).clamp_min_(0.0)

    def draw(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """Deviations of the loadings ``(genes, k)`` and biases ``(genes,)`` of standard normals ``(genes, k + 1)``."""
        wide = self.covariance.double()
        floor = 1e-7 * wide.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-9)
        root = torch.linalg.cholesky(wide + torch.diag_embed(floor[:, None].expand_as(self.centre))).to(score)
        loadings = (root @ score[:, 1:, None])[..., 0]
        return loadings, self.bias.sqrt() * score[:, 0] - (self.centre * loadings).sum(1)


def loadings_posterior(
    loose: Tensor,
    bias: Tensor,
    *,
    log_weights: Tensor,
    centre: Tensor,
    root: Tensor,
    dispersion: Tensor,
    cells: float,
    depth: float,
) -> LoadingsPosterior:
    r"""Posterior of the loadings, from the information that cells of the latent prior hold on average.

    The fit forgets the sums over cells that it solved. Their expectation under the fitted prior stands for them, so
    that no counts are needed and a model that was loaded without data has the same uncertainty. The prior of the
    loadings is the scale mixture of normals of the fit, learned again.

    Parameters
    ----------
    loose, bias
        Loosely shrunk loadings ``(genes, k)`` and biases ``(genes,)``.
    log_weights, centre, root
        Latent prior: log weights ``(components,)``, means ``(components, k)``, roots of covariances
        ``(components, k, k)``.
    dispersion
        Dispersion of each gene beyond Poisson noise, ``(genes,)``.
    cells, depth
        Number of cells that the loadings were fitted to, and their library size.
    """
    loose, bias, dispersion = loose.double(), bias.double(), dispersion.double()
    there = log_weights > -torch.inf
    axes = {"weights": log_weights[there].double().exp(), "centre": centre[there].double()}
    axes["covariance"] = root[there].double() @ root[there].double().mT
    shares = _shares(loose, bias, **axes)
    step = max(1, len(loose) // GENES)
    some = expected_information(
        loose, shares, dispersion=dispersion, cells=cells, depth=depth, genes=slice(None, None, step), **axes
    )
    prior = _learned(some[2], loose[::step])
    size = max(1, NUMBERS // max(1, loose.shape[1] ** 2))
    parts = []
    for start in range(0, len(loose), size):
        genes = slice(start, start + size)
        level, middle, information = expected_information(
            loose, shares, dispersion=dispersion, cells=cells, depth=depth, genes=genes, **axes
        )
        target = _target(information, loose[genes], prior)
        covariance = uncertain(information, target, prior=prior)
        bounded = level.clamp_min(1.0 / LARGEST).reciprocal()
        parts.append([part.float() for part in (bounded, middle, covariance)])
    return LoadingsPosterior(*(torch.cat(part) for part in zip(*parts, strict=True)))


def expected_information(
    loadings: Tensor,
    shares: Tensor,
    *,
    weights: Tensor,
    centre: Tensor,
    covariance: Tensor,
    dispersion: Tensor,
    cells: float,
    depth: float,
    genes: slice = slice(None),
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Information of cells of a latent prior on each gene's bias and loadings.

    Within a component log-rates are normal, so that cells count in proportion to :math:`\exp(w_g^\top z)`: their
    factors are normal around :math:`m_k + S_k w_g`.

    Parameters
    ----------
    loadings
        ``(genes, k)``.
    shares
        Mean composition of each component, ``(components, genes)``.
    weights, centre, covariance
        Of the components: ``(components,)``, ``(components, k)``, ``(components, k, k)``.
    dispersion, cells, depth
        As for :func:`loadings_posterior`.
    genes
        Which genes.

    Returns
    -------
    Information on the bias ``(genes,)``, the information-weighted mean of the factors ``(genes, k)``, and the
    information on the loadings at the best bias ``(genes, k, k)``.
    """
    mu = depth * shares[:, genes]
    weight = cells * weights[:, None] * mu / (1.0 + mu * dispersion[genes])
    level = weight.sum(0).clamp_min(1e-9)
    at = centre[:, None] + loadings[genes] @ covariance
    middle = (weight[:, :, None] * at).sum(0) / level[:, None]
    apart = (at - middle) * weight.sqrt()[:, :, None]
    within = (weight.T @ covariance.flatten(1)).unflatten(1, covariance.shape[1:])
    return level, middle, within + torch.einsum("cgi,cgj->gij", apart, apart)


def _shares(loadings: Tensor, bias: Tensor, *, weights: Tensor, centre: Tensor, covariance: Tensor) -> Tensor:
    """Mean composition of each component, ``(components, genes)``."""
    spread = torch.einsum("gi,cij,gj->cg", loadings, covariance, loadings)
    return torch.softmax(bias + centre @ loadings.T + 0.5 * spread, 1)


def _learned(information: Tensor, loose: Tensor) -> VectorPrior:
    """Prior of loadings whose loosely shrunk values are known."""
    k = loose.shape[1]
    guess = second_moment(loose) + 1e-6 * torch.eye(k, dtype=loose.dtype, device=loose.device)
    prior = VectorPrior(guess, loose.new_ones(1, 1))
    for _ in range(ROUNDS):
        prior = learn_prior(information, _target(information, loose, prior), guess=prior.covariance, rounds=1)
    return prior


def _target(information: Tensor, loose: Tensor, prior: VectorPrior) -> Tensor:
    """Slopes at zero of the log-likelihoods whose loosely shrunk modes are ``loose``: the reverse of ``loosen``."""
    return ((information + ridge(prior)) @ loose[:, :, None])[..., 0]
