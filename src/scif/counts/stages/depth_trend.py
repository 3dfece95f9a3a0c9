"""How each gene's counts grow with depth, by a regression on cells in bins of depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from scif.counts.data.dataset import GatheredCounts
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.depth_trend import DepthTrend
from scif.counts.statistics.shrinkage import learn_prior, shrink

__all__ = ["Trend", "fit_depth_trend", "trend_of_the_rest"]

#: Bins of cells of similar depth, and Newton steps.
BINS, STEPS = 64, 8
#: Precision of the slopes' normal prior, whose mean is zero: a slope of -1 is a gene that depth does nothing to.
RIDGE = 1.0
#: Molecules added to what is observed and to what is expected of a gene, of which there may be none in these cells.
PSEUDO = 1.0
#: Slopes that measuring can cause, from as many counts at every depth to shares that are the same at every depth. One
#: that grows with depth is that of a gene of deep cells.
TECHNICAL = (-1.0, 0.0)


@dataclass(frozen=True)
class Trend:
    """Log-linear trend of each gene with depth; parameters as for ``DepthTrend``, whose form it has.

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

    def put_into(self, module: DepthTrend) -> None:
        """Let a denoiser use it."""
        for name, value in vars(self).items():
            getattr(module, name).copy_(torch.as_tensor(value))

    def factor(self, depth: np.ndarray, member: np.ndarray) -> np.ndarray:
        """Factor on the expected counts of cells, ``(cells, genes)``."""
        centred = (np.log(depth) - member @ self.level).astype(np.float32)
        factor = np.outer(centred, self.slope.astype(np.float32))
        factor += self.bias.astype(np.float32)
        return np.exp(factor, out=factor)


def fit_depth_trend(
    x: sparse.csr_matrix,
    depth: np.ndarray,
    *,
    member: np.ndarray,
    profiles: np.ndarray,
    dispersion: np.ndarray,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Trend:
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
    """
    molecules, overall = depth @ member, (depth @ np.log(depth)) / depth.sum()
    # a batch of which there is no cell here has the level of the others
    level = np.where(molecules > 0, (depth * np.log(depth)) @ member / molecules.clip(1e-12), overall)
    centred = np.log(depth) - member @ level
    bins = min(BINS, len(depth))
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

    for _ in range(STEPS):
        mu, weight = expected(*trend)
        rest = (observed - mu) * weight
        gradient = np.stack([rest.sum(0), at @ rest - RIDGE * trend[1]])
        a, b, c = (at**i @ (mu * weight) for i in range(3))
        a, c = a + 1e-9, c + RIDGE
        step = np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]]) / (a * c - b**2)
        trend += step.clip(-1.0, 1.0)
    slope = _shrunk(trend[1], c - b**2 / a).clip(*bounds)
    mu, weight = expected(np.zeros_like(slope), slope)
    bias = np.log(((observed * weight).sum(0) + PSEUDO) / ((mu * weight).sum(0) + PSEUDO))
    bias = np.where(slope == 0.0, 0.0, bias)
    return Trend(bias, slope, level, (float(centred.min()), float(centred.max())))


def _shrunk(modes: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Posterior means of slopes, whose prior is learned from all of them; modes under the ridge are known.

    One gene tells nothing of a prior.
    """
    if len(modes) < 2:
        return modes
    information = torch.from_numpy((curvature - RIDGE).clip(0.0))[:, None, None]
    target = torch.from_numpy(curvature * modes)[:, None]
    prior = learn_prior(information, target, guess=torch.full((1, 1), 0.05, dtype=torch.float64))
    slope: np.ndarray = shrink(information, target, prior=prior)[:, 0].numpy()
    return slope


@torch.no_grad()
def trend_of_the_rest(model: CountConsistency, gathered: GatheredCounts) -> Trend:
    """Technical trend of the genes that are not believed to follow others; none of those that are.

    Parameters
    ----------
    model
        The denoiser, with its credibility.
    gathered
        Counts of cells.
    """
    batches, genes = len(model.trend.level), gathered.x.shape[1]
    profiles = model.baseline(torch.arange(batches, device=model.device)).reshape(batches, genes)
    rest = np.flatnonzero(model.credibility.cpu().numpy() < 1.0)
    trend = fit_depth_trend(
        gathered.x[:, rest],
        gathered.library.astype(np.float64),
        member=np.eye(batches)[gathered.batch],
        profiles=profiles.double().cpu().numpy()[:, rest],
        dispersion=model.dispersion.cpu().numpy()[rest],
        bounds=TECHNICAL,
    )
    bias, slope = np.zeros((2, genes))
    bias[rest], slope[rest] = trend.bias, trend.slope
    return replace(trend, bias=bias, slope=slope)
