"""The last step of training: the output layer, gene by gene, as the posterior mean under a learned prior."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from scif.model._data import CountBatch
from scif.nn import CountConsistency
from scif.nn.count_network import batch_codes

__all__ = ["refit_loadings", "shrink"]

#: Variance of a gene's loadings relative to the average gene: from "nothing in common with others" upwards.
SCALES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
#: Rounds of estimating the prior, rounds of its weights in each, and genes that it is estimated from.
PRIOR_ROUNDS, WEIGHT_ROUNDS, GENES = 6, 30, 2000


@torch.no_grad()
def refit_loadings(model: CountConsistency, cells: Callable[[], Iterable[CountBatch]]) -> None:
    r"""Replace loadings and biases of the output layer by their posterior means given the latent codes.

    Stochastic gradients stop before the loadings of most genes have settled, and pull all genes alike. Given codes
    ``z`` each gene is a small regression of its own, :math:`x_{ig} \sim L_i \exp(b_g + w_g^\top z_i)`, negative
    binomial with the gene's own variation: one Newton step from where training ended finds its likelihood, and
    :func:`shrink` its posterior mean. A gene's own counts also move the codes, so that it would seem to follow them;
    to first order the gradient is that on codes which have not seen it.

    Parameters
    ----------
    model
        The denoiser; its network is changed in place.
    cells
        Gives minibatches of counts, as often as asked.
    """
    network, genes = model.network, model.network.num_genes
    whiten, unwhiten, centre, response = _coordinates(model, cells)
    k = whiten.shape[1]
    loadings = network.loadings @ unwhiten
    bias = network.bias + network.loadings @ centre
    own, technical = 1.0 / model.residual_shape, 1.0 / model.inverse_dispersion
    dispersion = own + technical + own * technical
    base = torch.zeros(genes, 2, device=model.device)  # information on the bias, and its gradient
    cross, gradient = torch.zeros(2, genes, k, device=model.device)
    information = torch.zeros(genes, k * k, device=model.device)
    for cell in cells():
        here = cell.to(model.device)
        totals, dense = here.x.totals(), here.x.dense()
        one = torch.ones_like(totals)
        z = (network.latent(here.x, one, library=here.library, batch=here.batch) - centre) @ whiten
        logits = torch.addmm(bias, z, loadings.T)
        if network.batch_offset is not None:
            logits += network.batch_offset(batch_codes(here.batch, totals))
        mu = totals[:, None] * torch.softmax(logits, 1)
        certainty = 1.0 / (1.0 + mu * dispersion)
        weight, rest = mu * certainty, (dense - mu) * certainty
        scale = (network.depth / here.library)[:, None]
        # what a gene's surprise adds to the argument of its response in the code
        surprise = torch.log1p(dense * scale) - torch.log1p(mu * scale)
        base += torch.stack([weight.sum(0), rest.sum(0)], 1)
        gradient += rest.T @ z - (rest * surprise).sum(0)[:, None] * response
        cross += weight.T @ z
        information.addmm_(weight.T, (z[:, :, None] * z[:, None, :]).flatten(1))
    base[:, 0].clamp_(min=1e-6)
    slope = cross / base[:, :1]  # the bias follows the loadings
    information = information.view(genes, k, k) - slope[:, :, None] * cross[:, None, :]
    target = (information @ loadings[:, :, None])[..., 0] + gradient - slope * base[:, 1:]
    new = shrink(information.cpu(), target.cpu(), prior=(loadings.T @ loadings / genes).cpu()).to(loadings)
    change = (new - loadings).clamp(-1.0, 1.0)
    bias = bias + (base[:, 1] / base[:, 0] - (slope * change).sum(1)).clamp(-1.0, 1.0)
    loadings = (loadings + change) @ whiten.T
    network.loadings.copy_(loadings)
    network.bias.copy_(bias - loadings @ centre)


def shrink(information: Tensor, target: Tensor, *, prior: Tensor) -> Tensor:
    r"""Posterior means of many vectors with a common prior that is estimated from all of them.

    Of vector ``g`` a quadratic log-likelihood is known, :math:`t_g^\top w - \tfrac12 w^\top H_g w`. The prior is a
    mixture of normals with covariances :math:`s Q`, one for each of :data:`SCALES`; EM finds ``Q`` and the weights.

    Parameters
    ----------
    information
        Matrices ``H``, ``(genes, k, k)``.
    target
        Vectors ``t``, ``(genes, k)``.
    prior
        First guess of ``Q``, ``(k, k)``.

    Returns
    -------
    Posterior means, ``(genes, k)``.

    Examples
    --------
    >>> import torch
    >>> shrink(torch.full((2, 1, 1), 1e6), torch.tensor([[1e6], [-2e6]]), prior=torch.eye(1)).round().tolist()
    [[1.0], [-2.0]]
    """
    genes = torch.arange(len(target))
    # the prior is that of many genes; all are needed in the last round only
    some = genes[:: max(1, len(genes) // GENES)]
    for chosen in [some] * (PRIOR_ROUNDS - 1):
        prior = _posterior(information[chosen], target[chosen], prior)[1]
    return _posterior(information, target, prior)[0]


def _posterior(information: Tensor, target: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior means ``(genes, k)``, and the prior's covariance after a step of EM."""
    k = target.shape[1]
    values, vectors = torch.linalg.eigh(prior + 1e-7 * torch.eye(k))
    root = vectors * values.clamp_min(1e-8).sqrt()
    scales = torch.tensor(SCALES)[:, None, None]
    # in coordinates in which prior and information of a gene are both diagonal
    strength, axes = torch.linalg.eigh(root.T @ information @ root)
    strength = strength.clamp_min(0.0)
    signal = (axes.transpose(1, 2) @ (target @ root)[:, :, None])[..., 0]
    gain = scales / (1.0 + scales * strength)
    evidence = 0.5 * (signal.square() * gain - torch.log1p(scales * strength)).sum(2)
    weights = torch.full((len(SCALES), 1), 1.0 / len(SCALES))
    for _ in range(WEIGHT_ROUNDS):
        chance = torch.softmax(evidence + weights.clamp_min(1e-8).log(), 0)
        weights = chance.mean(1, keepdim=True)
    mean = (axes @ ((chance[:, :, None] * gain).sum(0) * signal)[:, :, None])[..., 0] @ root.T
    # second moments over the scale: what the means show, and what they leave open
    each = chance[1:, :, None] / scales[1:]
    shown = torch.einsum("gak,sgk->sga", axes, gain[1:] * signal * each.sqrt()).flatten(0, 1)
    left = (axes * (each * gain[1:]).sum(0).sqrt()[:, None, :]).transpose(0, 1).flatten(1)
    moment = shown.T @ shown + left @ left.T
    return mean, root @ (moment / (1.0 - chance[0]).sum().clamp_min(1.0)) @ root.T


def _coordinates(
    model: CountConsistency, cells: Callable[[], Iterable[CountBatch]]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps to and from whitened codes, their centre, and how a gene's log-normalised count moves a whitened code."""
    network = model.network
    codes, scores = [], []
    for cell in cells():
        here = cell.to(model.device)
        codes.append(network.latent(here.x, torch.ones_like(here.library), library=here.library, batch=here.batch))
        scores.append(network.scores(here.x, here.library))
    z, f = torch.cat(codes).cpu().double(), torch.cat(scores).cpu().double()
    centre = z.mean(0)
    z, f = z - centre, f - f.mean(0)
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    kept = values > 1e-4 * values[-1].clamp_min(1e-12)
    whiten, unwhiten = vectors[:, kept] / values[kept].sqrt(), vectors[:, kept] * values[kept].sqrt()
    linear = torch.linalg.lstsq(f.T @ f + 1e-6 * len(f) * torch.eye(f.shape[1], dtype=f.dtype), f.T @ (z @ whiten))
    response = (network.components / network.spread) @ linear.solution.to(network.spread)
    return (*(part.to(response) for part in (whiten, unwhiten, centre)), response)
