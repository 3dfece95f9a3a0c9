"""Extreme outlier counts, which are kept as observed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.data.sparse_counts import SparseCounts, entries
from scif.counts.posterior.cell_scale import wide
from scif.counts.posterior.gene_variation import combined_shape, signal_share

__all__ = ["Outliers", "find_outliers"]

#: Chance that an expectation says nothing of a count, and gamma shape of what it then says, as a share of itself.
CHANCE, SHAPE = 1e-4, 0.05
#: Least count that is looked at, and least distance from its expectation in standard deviations, without technical
#: noise: others do not have the least log odds that are not taken for none.
LEAST, FAR, NEGLIGIBLE = 2.0, 4.0, -3.0
#: Least variance of the noise: at smaller times of a path the point is the signal.
MIN_NOISE = 0.05**2


@dataclass(frozen=True)
class Outliers:
    """Entries that may be outliers.

    Attributes
    ----------
    rows, columns
        Where they are, ``(entries,)``.
    weight
        Chance that they are, ``(entries,)``.
    share
        Share of what they have beyond their expectation that is signal if they are, ``(entries,)``.
    """

    rows: Tensor
    columns: Tensor
    weight: Tensor
    share: Tensor

    def into(self, usual: Tensor, outlying: Tensor) -> Tensor:
        """An array ``(cells, genes)`` of what is usual, with what these entries ``(entries,)`` are by their weight."""
        if len(self.rows) == 0:
            return usual
        at = self.rows, self.columns
        return usual.index_put(at, torch.lerp(usual[at], outlying.to(usual), self.weight))


def find_outliers(
    x: SparseCounts | Tensor,
    mu: Tensor,
    shape: Tensor,
    *,
    noise: Tensor | None = None,
    inverse_dispersion: Tensor | None = None,
) -> Outliers:
    r"""Find extreme outlier counts, for example markers of a few cells.

    A gamma distribution has light tails: of a marker of six cells among 60,000, which varies with the shape 0.02 as
    far as others tell, 30 molecules where 0.003 are expected would be put down to 4. With a small chance, therefore,
    the clean signal varies with a shape that is a twentieth of its expectation, :math:`\kappa \mu`, around it, which
    leaves nearly all to the count,
    :math:`E[x_0 \mid x] = (x + \kappa \mu) / (1 + \kappa)`. How likely that is says Bayes' rule, with negative binomial
    likelihoods. A single molecule never is.

    Parameters
    ----------
    x
        Counts, or points of a path towards them, ``(cells, genes)``.
    mu
        Their expectations, ``(cells, genes)``.
    shape
        Gamma shapes of the variation around these, ``(genes,)`` or ``(cells, genes)``.
    noise
        Variance of the noise as a share of that of counts, ``(cells,)``: :math:`t^2` on a path; one if not given.
    inverse_dispersion
        Technical inverse dispersion of each gene, ``(genes,)``; none beyond Poisson noise if not given.

    Examples
    --------
    >>> import torch
    >>> x, mu = torch.tensor([[40.0, 1.0], [3.0, 0.0]]), torch.tensor([[0.003, 1.0], [2.0, 1.0]])
    >>> found = find_outliers(x, mu, torch.tensor([0.02, 5.0]))
    >>> found.rows.tolist(), found.columns.tolist(), [round(float(share), 2) for share in found.share]
    ([0], [0], [0.95])
    """
    rows, columns, values = entries(x)
    some = (values >= LEAST).nonzero()[:, 0]
    rows, columns, values = rows[some], columns[some], values[some]
    at_some, own = mu[rows, columns], shape[rows, columns] if shape.dim() == 2 else shape[columns]
    # with t^2 times the variance of the noise x / t^2 varies as counts do
    beyond = values - at_some
    noise = torch.ones_like(beyond) if noise is None else noise.clamp_min(MIN_NOISE)[rows]
    far = beyond.square() > FAR**2 * at_some * (noise + at_some / own)
    some = (far & (beyond > 0)).nonzero()[:, 0]
    rows, columns, values, at_some, own = (part[some] for part in (rows, columns, values, at_some, own))
    noise = noise[some].to(wide(mu))
    counted, expected = values.to(noise) / noise, at_some.to(noise).clamp_min(1e-30) / noise
    technical = None if inverse_dispersion is None else inverse_dispersion[columns].to(noise) / noise
    usual, loose = own.to(noise), SHAPE * expected * noise
    odds = torch.full_like(expected, CHANCE).logit()
    for sign, against in ((1.0, loose), (-1.0, usual)):
        odds += sign * _log_likelihood(counted, expected, combined_shape(against, technical))
    share = signal_share(expected, loose, technical)
    told = ((odds > NEGLIGIBLE) & (loose < usual)).nonzero()[:, 0]
    return Outliers(rows[told], columns[told], odds[told].sigmoid().to(mu), share[told].to(mu))


def _log_likelihood(x: Tensor, mu: Tensor, shape: Tensor) -> Tensor:
    """Log-likelihood of negative binomial counts, up to terms without the shape."""
    there = torch.log(mu + shape)
    return torch.lgamma(x + shape) - torch.lgamma(shape) + shape * (shape.log() - there) - x * there
