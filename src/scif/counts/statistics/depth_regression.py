"""Regression of each gene's counts on depth, on cells in bins of depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from scif.counts.statistics.shrinkage import learn_prior, shrink

__all__ = ["DepthRegression", "regress_on_depth"]

#: Bins of cells of similar depth, and Newton steps.
BINS, STEPS = 64, 8
#: Largest logarithm of a factor that a slope may give to a cell beyond the depths that it was fitted on.
MOST = 30.0
#: Precision of the slopes' normal prior, whose mean is zero: a slope of -1 is a gene that depth does nothing to.
RIDGE = 1.0
#: Molecules added to what is observed and to what is expected of a gene, of which there may be none in these cells.
PSEUDO = 1.0


@dataclass(frozen=True)
class DepthRegression:
    """Log-linear trend of each gene with depth, see :class:`~scif.counts.posterior.parameters.Trend`.

    Attributes
    ----------
    bias, slope
        ``(genes,)``.
    level
        Average log library size of each batch ``(batches,)``.
    range
        Least and largest log library size, less the level.
    """

    bias: np.ndarray
    slope: np.ndarray
    level: np.ndarray
    range: tuple[float, float]

    def factor(self, depth: np.ndarray, member: np.ndarray) -> np.ndarray:
        """Factor on the expected counts of cells, ``(cells, genes)``."""
        centred = (np.log(depth) - member @ self.level).astype(np.float32)
        factor = np.outer(centred, self.slope.astype(np.float32))
        factor += self.bias.astype(np.float32)
        factor.clip(-MOST, MOST, out=factor)  # a cell far out of the range of depths
        return np.exp(factor, out=factor)


def regress_on_depth(
    x: sparse.csr_matrix,
    depth: np.ndarray,
    *,
    member: np.ndarray,
    profiles: np.ndarray,
    dispersion: np.ndarray,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    bins: int = BINS,
    max_steps: int = STEPS,
    ridge: float = RIDGE,
    pseudo: float = PSEUDO,
) -> DepthRegression:
    r"""Fit :math:`E[x_{cg}] = L_c p_g \exp(a_g + b_g \ell_c)` by the quasi-likelihood of negative binomial counts.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    depth
        Library sizes ``(cells,)``.
    member
        One in the column of each cell's batch, ``(cells, batches)``.
    profiles
        Pooled composition of each batch, ``(batches, genes)``.
    dispersion
        Of each gene beyond Poisson noise, ``(genes,)``.
    bounds
        Least and largest slope.
    bins
        Bins of cells of similar depth.
    max_steps
        Newton steps.
    ridge
        Precision of the normal prior of slopes.
    pseudo
        Molecules added to observed and expected totals.
    """
    molecules, overall = depth @ member, (depth @ np.log(depth)) / depth.sum()
    # a batch of which there is no cell here has the level of the others
    level = np.where(molecules > 0, (depth * np.log(depth)) @ member / molecules.clip(1e-12), overall)
    centred = np.log(depth) - member @ level
    bins = min(bins, len(depth))
    of = np.empty(len(depth), dtype=np.int64)
    of[centred.argsort(kind="stable")] = np.arange(len(depth)) * bins // len(depth)
    which = sparse.csr_matrix((np.ones(len(depth)), (of, np.arange(len(depth)))), shape=(bins, len(depth)))
    observed = np.asarray((which @ x).todense(), dtype=np.float64)
    base = (which @ (depth[:, None] * member)) @ profiles
    cells = np.bincount(of, minlength=bins)[:, None]
    at = (which @ (depth * centred)) / (which @ depth)
    trend = np.zeros((2, x.shape[1]))

    def expected(bias: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts of the bins and how much they weigh, ``(bins, genes)``."""
        mu = base * np.exp((bias + np.outer(at, slope)).clip(-5.0, 5.0))
        return mu, 1.0 / (1.0 + mu / cells * dispersion)

    for _ in range(max_steps):
        mu, weight = expected(*trend)
        rest = (observed - mu) * weight
        gradient = np.stack([rest.sum(0), at @ rest - ridge * trend[1]])
        a, b, c = (at**i @ (mu * weight) for i in range(3))
        a, c = a + 1e-9, c + ridge
        step = np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / (a * c - b**2)
        trend += step.clip(-1.0, 1.0)
    slope = _shrunk(trend[1], c - b**2 / a, ridge).clip(*bounds)
    mu, weight = expected(np.zeros_like(slope), slope)
    bias = np.log(((observed * weight).sum(0) + pseudo) / ((mu * weight).sum(0) + pseudo))
    bias = np.where(slope == 0.0, 0.0, bias)
    return DepthRegression(bias, slope, level, (float(centred.min()), float(centred.max())))


def _shrunk(modes: np.ndarray, curvature: np.ndarray, ridge: float) -> np.ndarray:
    """Posterior means of slopes, whose prior is learned from all of them; modes under the ridge are known.

    One gene tells nothing of a prior.
    """
    if len(modes) < 2:
        return modes
    information = torch.from_numpy((curvature - ridge).clip(0.0))[:, None, None]
    target = torch.from_numpy(curvature * modes)[:, None]
    prior = learn_prior(information, target, guess=torch.full((1, 1), 0.05, dtype=torch.float64))
    slope: np.ndarray = shrink(information, target, prior=prior)[:, 0].numpy()
    return slope
