"""Spread of the posterior of expected counts: standard deviations and quantiles in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.posterior.gamma import gamma_quantile
from scif.counts.posterior.loadings_posterior import LoadingsPosterior

__all__ = ["Spread", "log_rate_variance", "posterior_spread"]

#: Least and largest squared coefficient of variation (dimensionless): rounding of single precision, and shapes that
#: hold next to nothing but zeros.
BOUNDS = 1e-7, 1e4


@dataclass(frozen=True)
class Spread:
    r"""Posterior of expected counts, around their estimate.

    The expected count is :math:`x_0 = m\, e^{c \delta - \ldots}\, G`: ``G`` is a gamma variable with mean one, the
    posterior of the gene-specific variation, and :math:`\delta` the deviation of the log-rate from its estimate, of
    which the share ``c`` reaches the expected count. The rest of it the count itself corrects.

    Attributes
    ----------
    mean
        Estimate ``m``, ``(cells, genes)``.
    shape
        Gamma shape of ``G``, ``(cells, genes)``.
    passed
        Variance of :math:`c \delta`, ``(cells, genes)``.
    share
        ``c``, ``(cells, genes)``.
    """

    mean: Tensor
    shape: Tensor
    passed: Tensor
    share: Tensor

    def relative_variance(self) -> Tensor:
        """Squared coefficient of variation, by the law of total variance, ``(cells, genes)``."""
        return (self.shape.reciprocal() * (1.0 + self.passed)).add_(self.passed).clamp_(*BOUNDS)

    def sd(self) -> Tensor:
        """Posterior standard deviation of the expected counts, ``(cells, genes)``."""
        return self.mean * self.relative_variance().sqrt_()

    def quantile(self, probability: float) -> Tensor:
        """Posterior quantiles of the expected counts ``(cells, genes)``: of the gamma with these two moments.

        If the latent factors and loadings are known it is the conjugate posterior and exact.

        Parameters
        ----------
        probability
            Strictly between 0 and 1.
        """
        return self.mean * gamma_quantile(self.relative_variance().reciprocal_(), probability)


def posterior_spread(
    mean: Tensor,
    shape: Tensor,
    share: Tensor,
    variance: Tensor | None,
    *,
    alone: Tensor | None = None,
) -> Spread:
    """Spread of expected counts around their estimate.

    Parameters
    ----------
    mean
        Estimates, ``(cells, genes)``.
    shape
        Gamma shape of the posterior of the gene-specific variation, ``(cells, genes)``.
    share
        Share of a deviation of the log-rate that reaches the expected count: one less the share of a count's deviation
        that is signal, ``(cells, genes)``.
    variance
        Posterior variance of the log-rates, see :func:`log_rate_variance`; None if they are taken to be known.
    alone
        Genes that share no variance, a mask ``(genes,)``. All of their uncertainty is their own, so that draws of two
        of them stay uncorrelated.

    Examples
    --------
    >>> import torch
    >>> x, mu, alpha = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 1.0]]), 4.0
    >>> spread = posterior_spread(mu * (x + alpha) / (mu + alpha), x + alpha, alpha / (mu + alpha), None)
    >>> [round(float(sd), 3) for sd in spread.sd()[0]]  # of Gamma(x + alpha, 1 + alpha / mu)
    [0.882, 0.4]
    """
    if variance is None:
        return Spread(mean, shape, torch.zeros_like(mean), share)
    passed = share.square() * variance
    if alone is not None and bool(alone.any()):
        total = Spread(mean, shape, passed, share).relative_variance().reciprocal_()
        shape, passed = torch.where(alone, total, shape), torch.where(alone, 0.0, passed)
    return Spread(mean, shape, passed, share)


def log_rate_variance(
    mean: Tensor, covariance: Tensor, loadings: Tensor, *, rho: Tensor, uncertain: LoadingsPosterior | None
) -> Tensor:
    r"""Posterior variance of the log-rates, ``(cells, genes)``.

    That of the latent factors is :math:`(w_g - \bar w)^\top C (w_g - \bar w)` with the average loadings of the cell's
    molecules :math:`\bar w`: the level of a cell's log-rates is free, its library size is known.

    Parameters
    ----------
    mean, covariance
        Of the latent factors, ``(cells, k)`` and ``(cells, k, k)``.
    loadings
        ``(genes, k)``.
    rho
        Composition of the cells, ``(cells, genes)``.
    uncertain
        Posterior of the loadings; None if they are taken to be known.
    """
    pairs = (loadings[:, :, None] * loadings[:, None, :]).flatten(1)
    average = rho @ loadings
    towards = (covariance @ average[:, :, None])[..., 0]
    level = (towards * average).sum(1, keepdim=True)
    found = torch.addmm(level, towards, loadings.T, alpha=-2.0)
    found.addmm_(covariance.flatten(1), pairs.T).clamp_min_(0.0)
    if uncertain is None:
        return found
    return found.add_(uncertain.variance(mean, covariance + mean[:, :, None] * mean[:, None, :]))
