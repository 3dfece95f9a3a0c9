"""Dispersions of genes by empirical Bayes on a grid of gamma shapes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from scif.counts.posterior.parameters import MAX_SHAPE

__all__ = ["GRID", "posterior_shapes"]

#: Gamma shapes to choose from: from "the count alone" to "the expectation alone".
BOUNDS = 0.0001, 2000.0
GRID = torch.tensor([*np.geomspace(*BOUNDS, 19), MAX_SHAPE], dtype=torch.float32)
#: A finer grid with so many steps from one shape to the next; losses are smooth in between.
STEPS = 4
FINE = torch.tensor([*np.geomspace(*BOUNDS, STEPS * (len(GRID) - 2) + 1), MAX_SHAPE], dtype=torch.float32)
#: Smaller shapes are those of genes that a few cells have all of. The prior starts with a share of them that falls with
#: this power: a mean of dispersions depends on them most.
RARE, FALL = 0.02, 4
#: Genes of similar expression on each side: at the least, and one in so many.
SIMILAR, ONE_IN = 50, 40


def posterior_shapes(loss: Tensor, expression: Tensor, *, rounds: int) -> Tensor:
    """Shapes of the posterior means of the dispersions, ``(genes,)``.

    The prior is the distribution over :data:`GRID` that best explains the genes of similar expression (empirical
    Bayes): a gene with few molecules is taken for one of them, one with many for itself. It starts even, but for
    shapes below :data:`RARE`.

    Parameters
    ----------
    loss
        Negative log-likelihood of every shape, ``(shapes, genes)``.
    expression
        By which genes are similar, ``(genes,)``.
    rounds
        Of that distribution (EM).
    """
    order = expression.argsort()
    window = min(max(SIMILAR, len(order) // ONE_IN), len(order))
    similar = _sums_around(loss.new_ones(1, len(order)), window)
    loss = _between(loss[:, order])
    likelihood = torch.exp(loss.min(0).values - loss)
    prior = (FINE[:, None].double() / RARE).clamp_max(1.0).pow(FALL).expand_as(likelihood)
    for _ in range(rounds):
        prior = _sums_around(_posterior(likelihood, prior), window) / similar
    dispersion = (_posterior(likelihood, prior) / FINE[:, None]).sum(0)
    out = torch.empty_like(dispersion)
    out[order] = dispersion.reciprocal()
    return out.float()


def _between(loss: Tensor) -> Tensor:
    """Losses of :data:`FINE` from those of :data:`GRID`, ``(shapes, genes)``: smooth curves of the logarithm."""
    even = CubicSpline(np.arange(len(GRID) - 1), loss[:-1].numpy())(np.arange(len(FINE) - 1) / STEPS)
    return torch.cat([torch.from_numpy(even), loss[-1:]])


def _sums_around(values: Tensor, window: int) -> Tensor:
    """Sums of values ``(n, genes)``, none negative, over a gene and so many on each side, fewer at the ends."""
    sums = torch.nn.functional.pad(values.cumsum(1), (1, 0))  # never falls, unlike a sum that moves along
    upper = torch.nn.functional.pad(sums, (0, window), mode="replicate")[:, window + 1 :]
    return upper - torch.nn.functional.pad(sums, (window, 0))[:, : values.shape[1]]


def _posterior(likelihood: Tensor, prior: Tensor) -> Tensor:
    joint = likelihood * prior
    return joint / joint.sum(0)
