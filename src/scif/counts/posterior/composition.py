"""Average of two estimates of a composition, weighted by their likelihood ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import SparseCounts, entries, library_sizes

__all__ = ["composition_ratio", "mean_composition"]


def composition_ratio(x: SparseCounts | Tensor, rho: Tensor, other: Tensor, *, dispersion: Tensor) -> Tensor:
    r"""Quasi-log-likelihood ratio of the composition ``other`` to ``rho``, ``(cells,)``, in nats.

    With library size ``L`` it is :math:`\sum_g c_g (x_g \log(\rho'_g / \rho_g) - L (\rho'_g - \rho_g))`, that
    of Poisson counts, each weighted by what overdispersion leaves of its information,
    :math:`c_g = 1 / (1 + L \min(\rho_g, \rho'_g) \phi_g)`: at the lesser of both expectations, since a gene of which
    one of them expects hundreds where there are none speaks loudly.

    Parameters
    ----------
    x
        Counts, ``(cells, genes)``.
    rho, other
        Compositions, ``(cells, genes)``.
    dispersion
        Of each gene beyond Poisson noise, ``(genes,)``.

    Examples
    --------
    >>> import torch
    >>> half, most = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    >>> round(float(composition_ratio(torch.tensor([[9.0, 1.0]]), half, most, dispersion=torch.zeros(2))), 2)
    3.68
    """
    totals = library_sizes(x)
    certainty = torch.minimum(rho, other).mul_(totals[:, None]).mul_(dispersion).add_(1.0).reciprocal_()
    apart = torch.linalg.vecdot(other - rho, certainty)
    rows, columns, values = entries(x)
    at = rows, columns
    change = other[at].clamp_min(1e-30).log() - rho[at].clamp_min(1e-30).log()
    return EntrySums(rows, columns, rho.shape, axis=1)(values * certainty[at] * change) - totals * apart


def mean_composition(
    x: SparseCounts | Tensor, rho: Tensor, other: Tensor, *, share: float, dispersion: Tensor, factors: int
) -> Tensor:
    """Average two estimates of the composition, ``other`` with weight ``share``, ``(cells, genes)``.

    Both are fitted to the same counts, so that averaging removes some of their noise. One of them may extrapolate
    badly in a cell that is unlike all others. The likelihood ratio of the cell's counts then moves the weight to the
    better one. Two fits with ``factors`` parameters a cell differ by that many nats by chance (the penalty of
    :cite:t:`akaike1974new`); only what exceeds it counts.

    Parameters
    ----------
    x, rho, other, dispersion
        As for :func:`composition_ratio`.
    share
        Weight of ``other``, in (0, 1).
    factors
        Number of latent factors of a cell.

    Examples
    --------
    >>> import torch
    >>> half, lost = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 1.0]])
    >>> mean_composition(
    ...     torch.tensor([[90.0, 0.0]]), half, lost, share=0.5, dispersion=torch.zeros(2), factors=2
    ... ).tolist()
    [[0.5, 0.5]]
    """
    ratio = composition_ratio(x, rho, other, dispersion=dispersion)
    beyond = ratio - ratio.clamp(-factors, factors)
    weight = torch.sigmoid(torch.logit(torch.full_like(ratio, share)) + beyond)
    return torch.lerp(rho, other, weight[:, None].to(rho))
