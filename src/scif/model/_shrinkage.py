"""Posterior means of many vectors under a common prior that is learned from all of them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["learn_prior", "loosen", "shrink"]

#: Variance of a vector relative to the average one: from "nothing in common with others" upwards.
SCALES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
#: Rounds of the prior's weights in each round of its covariance, and vectors that it is estimated from.
WEIGHT_ROUNDS, VECTORS = 30, 2000


def learn_prior(information: Tensor, target: Tensor, *, guess: Tensor, rounds: int = 5) -> Tensor:
    r"""Covariance of the prior of many vectors, by expectation maximisation.

    Of vector ``g`` a quadratic log-likelihood is known, :math:`t_g^\top w - \tfrac12 w^\top H_g w`. The prior is a
    mixture of normals with covariances :math:`s Q`, one for each of :data:`SCALES`.

    Parameters
    ----------
    information
        Matrices ``H``, ``(vectors, k, k)``.
    target
        Vectors ``t``, ``(vectors, k)``.
    guess
        First guess of ``Q``, ``(k, k)``.
    rounds
        Of expectation maximisation.

    Returns
    -------
    ``Q``, ``(k, k)``.
    """
    some = torch.arange(0, len(target), max(1, len(target) // VECTORS), device=target.device)
    for _ in range(rounds):
        guess = _posterior(information[some], target[some], guess)[1]
    return guess


def shrink(information: Tensor, target: Tensor, *, prior: Tensor) -> Tensor:
    """Posterior means ``(vectors, k)`` under the prior of :func:`learn_prior`, whose arguments these are.

    Examples
    --------
    >>> import torch
    >>> shrink(torch.full((2, 1, 1), 1e6), torch.tensor([[1e6], [-2e6]]), prior=torch.eye(1)).round().tolist()
    [[1.0], [-2.0]]
    """
    return _posterior(information, target, prior)[0]


def loosen(information: Tensor, target: Tensor, *, prior: Tensor, scale: float = 4.0) -> Tensor:
    """Modes ``(vectors, k)`` under one normal prior of ``scale`` times the covariance: only noise is held back."""
    ridge = torch.linalg.inv(scale * prior + 1e-6 * torch.eye(len(prior), device=prior.device))
    modes: Tensor = torch.linalg.solve(information + ridge, target[:, :, None])[..., 0]
    return modes


def _posterior(information: Tensor, target: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior means ``(vectors, k)``, and the prior's covariance after a step of EM."""
    k = target.shape[1]
    values, vectors = torch.linalg.eigh(prior + 1e-7 * torch.eye(k, device=prior.device))
    root = vectors * values.clamp_min(1e-8).sqrt()
    scales = torch.tensor(SCALES, device=prior.device)[:, None, None]
    # in coordinates in which prior and information of a vector are both diagonal
    strength, axes = torch.linalg.eigh(root.T @ information @ root)
    strength = strength.clamp_min(0.0)
    signal = (axes.transpose(1, 2) @ (target @ root)[:, :, None])[..., 0]
    gain = scales / (1.0 + scales * strength)
    evidence = 0.5 * (signal.square() * gain - torch.log1p(scales * strength)).sum(2)
    weights = torch.full((len(SCALES), 1), 1.0 / len(SCALES), device=prior.device)
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
