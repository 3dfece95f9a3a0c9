"""Expected composition and counts of cells: what genes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif.counts.data.batch import CountBatch
from scif.counts.network import CountNetwork
from scif.counts.posterior.composition import mean_composition
from scif.counts.posterior.latent import LatentPosterior, latent_posterior, transported
from scif.counts.posterior.parameters import Parameters

__all__ = [
    "TRANSPORTED",
    "Expectation",
    "Kind",
    "composition",
    "expectation",
    "latent_factors",
    "posterior_factors",
    "profiles",
    "with_constant_genes",
]

Kind = Literal["mean", "transport"]
#: Weight of the composition at transported factors, unless the counts of a cell speak against it.
TRANSPORTED = 0.9999


@dataclass(frozen=True)
class Expectation:
    """Expected counts of cells, ``(cells, genes)``.

    Attributes
    ----------
    mu
        At the cells' library sizes, depth-corrected.
    at_depth
        At the cells' depths: what their counts are compared with.
    """

    mu: Tensor
    at_depth: Tensor


def latent_factors(network: CountNetwork, cells: CountBatch) -> Tensor:
    """Latent factors that the network gives for the counts of cells, ``(cells, k)``."""
    library = cells.library
    return network.latent(cells.x, torch.ones_like(library), library=library, batch=cells.batch)


def posterior_factors(
    network: CountNetwork, parameters: Parameters, cells: CountBatch, latent: Tensor, *, exact: bool = False
) -> LatentPosterior:
    """Posterior of the latent factors of cells under the fitted prior, from the network's ``latent (cells, k)``."""
    assert parameters.prior is not None  # the caller has looked
    offset = network.offset(cells.batch, latent)
    total = parameters.dispersion.total
    return latent_posterior(parameters.prior, latent, cells.x.dense(), dispersion=total, offset=offset, exact=exact)


def composition(
    network: CountNetwork,
    parameters: Parameters,
    cells: CountBatch,
    *,
    kind: Kind = "mean",
) -> Tensor:
    """Expected composition over genes ``(cells, genes)``.

    Parameters
    ----------
    network, parameters
        The fitted model.
    cells
        Counts.
    kind
        ``"mean"`` averages the network's composition and that at the posterior mean of the factors; ``"transport"``
        takes factors that are distributed as the prior.
    """
    latent = latent_factors(network, cells)
    offset = network.offset(cells.batch, latent)
    rho = torch.softmax(network.decode(latent, offset, loadings=parameters.loadings), 1)
    prior, share = parameters.prior, TRANSPORTED if kind == "transport" else parameters.prior_share
    if prior is not None and share > 0.0:
        posterior = posterior_factors(network, parameters, cells, latent, exact=kind == "transport")
        factors = transported(prior, posterior) if kind == "transport" else posterior.mean()
        loadings = prior.loose if kind == "transport" else prior.loadings
        other = torch.softmax(loadings.logits(factors, offset), 1)
        rho = mean_composition(
            cells.x, rho, other, share=share, dispersion=parameters.dispersion.total, factors=latent.shape[1]
        )
    return with_constant_genes(network, parameters, rho, cells.batch)


def with_constant_genes(network: CountNetwork, parameters: Parameters, rho: Tensor, batch: Tensor | None) -> Tensor:
    """Compositions ``(cells, genes)`` in which genes that share no variance have their pooled share."""
    if parameters.sharing is None:
        return rho
    every = profiles(network, parameters)
    codes = torch.zeros(len(rho), dtype=torch.long, device=rho.device) if batch is None else batch.reshape(-1).long()
    constant = every[codes] * (1.0 - parameters.sharing)
    varying = rho * parameters.sharing
    left = 1.0 - constant.sum(1, keepdim=True)
    return varying * (left / varying.sum(1, keepdim=True).clamp_min(1e-12)) + constant


def profiles(network: CountNetwork, parameters: Parameters) -> Tensor:
    """Pooled composition of each batch, ``(batches, genes)``."""
    offsets = network.batch_offsets
    if offsets is None:
        return parameters.profile[None]
    return torch.softmax(parameters.profile.clamp_min(1e-12).log() + offsets, 1)


def expectation(
    network: CountNetwork,
    parameters: Parameters,
    cells: CountBatch,
    *,
    scale: Literal["library", "counts"] = "library",
    kind: Kind = "mean",
) -> Expectation:
    """Expected counts at the library sizes of cells, or at the sums of their counts (they differ by size factors)."""
    size = cells.library if scale == "library" else cells.x.totals()
    mu = size[:, None] * composition(network, parameters, cells, kind=kind)
    return Expectation(mu, at_depth(parameters, mu, cells))


def at_depth(parameters: Parameters, mu: Tensor, cells: CountBatch) -> Tensor:
    """Expected counts with the technical trend of genes that share no variance."""
    if parameters.trend is None:
        return mu
    return mu * parameters.trend.factor(cells.library, batch=cells.batch)
