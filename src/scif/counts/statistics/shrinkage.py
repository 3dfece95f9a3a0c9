"""Posterior means of many vectors under a prior that all of them share (empirical Bayes)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.statistics.eigen import eigen

__all__ = ["VectorPrior", "learn_prior", "left_open", "loosen", "ridge", "second_moment", "shrink", "uncertain"]

#: Variance of a vector relative to the average one: from "nothing in common with others" upwards.
SCALES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
#: Scale of the one normal of a loose prior.
LOOSE = 8.0
#: Rounds of the prior's weights in each round of its covariance.
WEIGHT_ROUNDS = 30


@dataclass(frozen=True)
class VectorPrior:
    """A mixture of normals, one for each of :data:`SCALES`, that many vectors come from.

    Attributes
    ----------
    covariance
        Of the normal of scale one, ``(k, k)``.
    weights
        Of the scales, ``(scales, 1)``.
    """

    covariance: Tensor
    weights: Tensor


def second_moment(vectors: Tensor) -> Tensor:
    """Second moment ``(k, k)`` of vectors ``(vectors, k)``: a first guess of their covariance."""
    return vectors.T @ vectors / len(vectors)


def learn_prior(information: Tensor, target: Tensor, *, guess: Tensor, rounds: int = 5) -> VectorPrior:
    r"""Prior of many vectors, by expectation maximisation.

    Of vector ``g`` a quadratic log-likelihood is known, :math:`t_g^\top w - \tfrac12 w^\top H_g w`.

    Parameters
    ----------
    information
        Matrices ``H``, ``(vectors, k, k)``.
    target
        Vectors ``t``, ``(vectors, k)``.
    guess
        First guess of the covariance, ``(k, k)``.
    rounds
        Of expectation maximisation.
    """
    for _ in range(rounds):
        found = _posterior(information, target, guess)
        guess = found.covariance()
    return VectorPrior(guess, found.weights)


def shrink(information: Tensor, target: Tensor, *, prior: VectorPrior) -> Tensor:
    """Posterior means ``(vectors, k)`` under a prior; the other arguments are those of :func:`learn_prior`.

    Examples
    --------
    >>> import torch
    >>> prior = VectorPrior(torch.eye(1), torch.full((len(SCALES), 1), 1 / len(SCALES)))
    >>> shrink(torch.full((2, 1, 1), 1e6), torch.tensor([[1e6], [-2e6]]), prior=prior).round().tolist()
    [[1.0], [-2.0]]
    """
    return _posterior(information, target, prior.covariance, weights=prior.weights).mean()


def loosen(information: Tensor, target: Tensor, *, prior: VectorPrior) -> Tensor:
    """Modes ``(vectors, k)`` under one normal prior of :data:`LOOSE` times the covariance: only noise is held back."""
    modes: Tensor = torch.linalg.solve(information + ridge(prior), target[:, :, None])[..., 0]
    return modes


def left_open(information: Tensor, *, prior: VectorPrior) -> Tensor:
    """Covariances ``(vectors, k, k)`` of the vectors around the modes that :func:`loosen` finds."""
    return torch.linalg.inv(information + ridge(prior))


def uncertain(information: Tensor, target: Tensor, *, prior: VectorPrior) -> Tensor:
    """Posterior covariances ``(vectors, k, k)`` under a prior, of the vectors around the means :func:`shrink` finds.

    Examples
    --------
    >>> import torch
    >>> prior = VectorPrior(torch.eye(1), torch.tensor([[0.0]] * 5 + [[1.0]] + [[0.0]] * 2))
    >>> uncertain(torch.full((1, 1, 1), 3.0), torch.ones(1, 1), prior=prior).round(decimals=3).tolist()
    [[[0.25]]]
    """
    return _posterior(information, target, prior.covariance, weights=prior.weights).uncertainty()


def ridge(prior: VectorPrior) -> Tensor:
    """Precision of the loose prior, ``(k, k)``."""
    eye = torch.eye(len(prior.covariance), device=prior.covariance.device)
    return torch.linalg.inv(LOOSE * prior.covariance + 1e-6 * eye)


@dataclass(frozen=True)
class _Posterior:
    """Posterior of every vector, in coordinates in which its information and the prior are diagonal.

    ``root (k, k)`` is the prior's, ``axes (vectors, k, k)`` the vector's own; ``signal (vectors, k)`` times ``gain
    (scales, vectors, k)`` are the means given the scale, which has chance ``chance (scales, vectors)``.
    """

    root: Tensor
    axes: Tensor
    signal: Tensor
    gain: Tensor
    chance: Tensor
    weights: Tensor

    def mean(self) -> Tensor:
        """``(vectors, k)``."""
        along = (self.chance[:, :, None] * self.gain).sum(0) * self.signal
        return (self.axes @ along[:, :, None])[..., 0] @ self.root.T

    def uncertainty(self) -> Tensor:
        """Covariances ``(vectors, k, k)``: within each scale, and of the means over the scales."""
        means = self.gain * self.signal
        apart = means - (self.chance[:, :, None] * means).sum(0)
        within = torch.diag_embed((self.chance[:, :, None] * self.gain).sum(0))
        turn = self.root @ self.axes
        return turn @ (within + torch.einsum("sg,sgi,sgj->gij", self.chance, apart, apart)) @ turn.mT

    def covariance(self) -> Tensor:
        """The prior's ``(k, k)`` after a step of EM: second moments over the scale, those shown and those left open."""
        scales = torch.tensor(SCALES, device=self.gain.device)[1:, None, None]
        gain, each = self.gain[1:], self.chance[1:, :, None] / scales
        shown = torch.einsum("gak,sgk->sga", self.axes, gain * self.signal * each.sqrt()).flatten(0, 1)
        left = (self.axes * (each * gain).sum(0).sqrt()[:, None, :]).transpose(0, 1).flatten(1)
        moment = shown.T @ shown + left @ left.T
        return self.root @ (moment / (1.0 - self.chance[0]).sum().clamp_min(1.0)) @ self.root.T


def _posterior(information: Tensor, target: Tensor, covariance: Tensor, *, weights: Tensor | None = None) -> _Posterior:
    """Posterior of the vectors; the weights of the scales are those that fit them best if not given."""
    k = target.shape[1]
    values, vectors = torch.linalg.eigh(covariance + 1e-7 * torch.eye(k, device=target.device))
    root = vectors * values.clamp_min(1e-8).sqrt()
    scales = torch.tensor(SCALES, device=target.device)[:, None, None]
    strength, axes = eigen(root.T @ information @ root)
    strength = strength.clamp_min(0.0)
    signal = (axes.transpose(1, 2) @ (target @ root)[:, :, None])[..., 0]
    gain = scales / (1.0 + scales * strength)
    evidence = 0.5 * (signal.square() * gain - torch.log1p(scales * strength)).sum(2)
    if weights is None:
        weights = torch.full((len(SCALES), 1), 1.0 / len(SCALES), device=target.device)
        for _ in range(WEIGHT_ROUNDS):
            weights = torch.softmax(evidence + weights.clamp_min(1e-8).log(), 0).mean(1, keepdim=True)
    chance = torch.softmax(evidence + weights.clamp_min(1e-8).log(), 0)
    return _Posterior(root, axes, signal, gain, chance, weights)
