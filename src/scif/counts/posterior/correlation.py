"""Gene-gene correlations of true expression, from the distribution of the latent factors instead of denoised counts."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.counts.posterior.loadings_posterior import LoadingsPosterior

__all__ = ["gene_covariance", "gene_correlation"]


def gene_covariance(
    loadings: Tensor,
    bias: Tensor,
    *,
    log_weights: Tensor,
    centre: Tensor,
    root: Tensor,
    shape: Tensor,
    uncertain: LoadingsPosterior | None = None,
    shared: Tensor | None = None,
) -> Tensor:
    r"""Covariance over cells of the logarithms of the true expression ``(genes, genes)``.

    Log expression is :math:`b_g + w_g^\top z - \log \sum_h e^{b_h + w_h^\top z} + \epsilon_g`. Within a component
    of the latent prior the third term takes the average loadings of a molecule, :math:`\bar w_k`, off those of each
    gene, so that two genes covary by :math:`(w_g - \bar w_k)^\top S_k (w_h - \bar w_k)`. Between components their mean
    logarithms covary. A gene's own variance has, beyond this, the gene-specific variation and the uncertainty of its
    loadings.

    Denoised counts lack the part of the variance that noise hides, so that they correlate more than true expression
    does. The prior's covariances are those of the factors before noise.

    Parameters
    ----------
    loadings, bias
        ``(genes, k)`` and ``(genes,)``; posterior means.
    log_weights, centre, root
        Latent prior: log weights ``(components,)``, means ``(components, k)``, roots of covariances
        ``(components, k, k)``.
    shape
        Gamma shape of the gene-specific variation, ``(genes,)``.
    uncertain
        Posterior of the loadings; None if they are taken to be known.
    shared
        Genes that share variance, a mask ``(genes,)``; others covary with none. All if not given.

    Examples
    --------
    >>> import torch
    >>> prior = {"log_weights": torch.zeros(1), "centre": torch.zeros(1, 1), "root": torch.ones(1, 1, 1)}
    >>> loadings = torch.tensor([[1.0], [-1.0], [0.0]])
    >>> shape = torch.full((3,), 1e6)
    >>> gene_covariance(loadings, torch.zeros(3), shape=shape, **prior).round(decimals=2).tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    loadings, bias, centre, root = (part.double() for part in (loadings, bias, centre, root))
    weights = log_weights.double().softmax(0)
    covariance = root @ root.mT
    inner = torch.einsum("gi,cij,gj->cg", loadings, covariance, loadings)
    logits = bias + centre @ loadings.T
    molecule = torch.softmax(logits + 0.5 * inner, 1)
    average = molecule @ loadings
    # E log sum exp, as the sum varies within the component
    level = torch.logsumexp(logits + 0.5 * inner, 1) - 0.5 * torch.einsum("ci,cij,cj->c", average, covariance, average)
    mean, own = logits - level[:, None], loadings - average[:, None]
    if shared is not None:
        mean, own = torch.where(shared, mean, 0.0), torch.where(shared[:, None], own, 0.0)
    apart = (mean - weights @ mean) * weights.sqrt()[:, None]
    half = (own @ root) * weights.sqrt()[:, None, None]
    found = apart.T @ apart + torch.einsum("cgi,chi->gh", half, half)
    alone = torch.log1p(1.0 / shape.double())
    if uncertain is not None:
        away = centre - weights @ centre
        whole = torch.einsum("c,cij->ij", weights, covariance) + (away * weights[:, None]).T @ away
        missing = torch.einsum("gij,ij->g", uncertain.covariance.double(), whole)
        alone = alone + (missing if shared is None else torch.where(shared, missing, 0.0))
    return found + torch.diag(alone)


def gene_correlation(covariance: Tensor) -> Tensor:
    """Correlations ``(genes, genes)``; those of a gene without variance are zero, and one with itself.

    Parameters
    ----------
    covariance
        What :func:`gene_covariance` gives.
    """
    scale = covariance.diagonal().clamp_min(1e-12).rsqrt()
    found = (covariance * scale[:, None] * scale).clamp(-1.0, 1.0)
    found.fill_diagonal_(1.0)
    return found
