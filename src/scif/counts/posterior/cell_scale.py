"""Dispersion scale of each cell, relative to other cells."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import SparseCounts, entries
from scif.counts.posterior.gene_variation import combined_shape
from scif.counts.posterior.parameters import CellScale

__all__ = ["cell_scales", "scale_evidence", "scale_posterior"]

#: Binary logarithms of the scales at which the likelihood is computed, and of the grid in between.
POINTS, FINE = np.linspace(-3.0, 3.0, 5), np.linspace(-3.0, 3.0, 49)
#: Cubic interpolation from the former to the latter.
BETWEEN = CubicSpline(POINTS, np.eye(len(POINTS)))(FINE)
#: Terms of the log-gamma ratio of up to eight molecules.
STEPS = torch.arange(1.0, 8.0)[:, None]
#: Genes with a larger gamma shape vary too little to inform the scale.
STEADY = 1e3


def cell_scales(prior: CellScale, evidence: Tensor) -> Tensor:
    r"""Scales :math:`s_n` ``(cells,)`` on the gamma shapes of a cell's genes: :math:`s_n \alpha_g`.

    A cell below one deviates more from what genes share than other cells do: it is stressed, a doublet, of a kind
    that the model has hardly seen, or measured with more noise than counting has. The scale is the reciprocal of a
    posterior mean of the dispersion, relative to that of the prior.

    Parameters
    ----------
    prior
        Distribution of the scales.
    evidence
        Log-likelihoods that :func:`scale_evidence` gives, ``(5, cells)``.

    Examples
    --------
    >>> import torch
    >>> mu, shape = torch.full((2, 400), 5.0), torch.full((400,), 4.0)
    >>> x = torch.stack([mu[0], torch.arange(400) % 20.0])  # the first cell is as expected, the other is not
    >>> first, second = cell_scales(CellScale(0.0, 1.0), scale_evidence(x, mu, shape)).tolist()
    >>> first > 2, second < 1
    (True, True)
    """
    dispersion = torch.from_numpy(2.0**-FINE).to(evidence)
    mean: Tensor = dispersion @ scale_posterior(prior, evidence)
    return dispersion @ torch.softmax(_log_prior(prior, evidence), 0) / mean


def scale_posterior(prior: CellScale, evidence: Tensor) -> Tensor:
    """Probabilities ``(49, cells)`` of 49 scales from 1/8 to 8, given what :func:`scale_evidence` gives."""
    between = torch.from_numpy(BETWEEN).to(evidence) @ evidence
    return torch.softmax(between + _log_prior(prior, evidence)[:, None], 0)


def _log_prior(prior: CellScale, like: Tensor) -> Tensor:
    deviation = torch.from_numpy(FINE).to(like) - prior.centre
    return -0.5 * (deviation / max(prior.spread, 1e-2)).square()


def scale_evidence(
    x: SparseCounts | Tensor,
    mu: Tensor,
    shape: Tensor,
    *,
    inverse_dispersion: Tensor | None = None,
) -> Tensor:
    r"""Log-likelihoods of five scales from 1/8 to 8, ``(5, cells)``, up to a constant of each cell.

    Parameters
    ----------
    x
        Counts, or points of a path towards them, ``(cells, genes)``.
    mu
        Their expectations, ``(cells, genes)``.
    shape
        Gamma shape of each gene's own variation in a cell of scale one, ``(genes,)``.
    inverse_dispersion
        Technical inverse dispersion of each gene, ``(genes,)``; none beyond Poisson noise if not given.
    """
    varies = shape < STEADY
    rows, columns, values = _entries(x, varies)
    # Likelihoods are small differences of large sums, which single precision rounds otherwise in each minibatch.
    mu, shape = mu if bool(varies.all()) else mu[:, varies], shape[varies].to(wide(mu))
    values = values.to(shape)
    technical = None if inverse_dispersion is None else inverse_dispersion[varies].to(shape)
    # lgamma(x + a) - lgamma(a) - x log(a) is zero for a single molecule, a sum of few logarithms for some
    tabled = values == values.floor().clamp(2.0, len(STEPS) + 1.0)
    some, others = tabled.nonzero()[:, 0], (~tabled & (values != 1) & (values > 0)).nonzero()[:, 0]
    place = (values[some].long() - 2) * len(shape) + columns[some]
    many = values[others]
    array = (len(mu), len(shape))
    every, tabled_ones, rest = (EntrySums(rows[at], columns[at], array, axis=1) for at in (slice(None), some, others))
    found, stored = [], rows * len(shape) + columns
    work = torch.empty_like(mu, dtype=shape.dtype)
    for factor in (2.0**POINTS).tolist():
        total = combined_shape(shape * factor, technical)
        torch.div(mu, total, out=work).log1p_()
        here = work @ total if total.dim() == 1 else (work * total).sum(1)
        here = -(here + every(values * work.view(-1).index_select(0, stored)))
        if len(some) > 0:
            table = torch.log1p(STEPS.to(total) / total).cumsum(0).flatten()
            here += tabled_ones(table[place])
        at = total[columns[others]] if total.dim() == 1 else total[rows[others], columns[others]]
        found.append(here + rest(torch.lgamma(many + at) - torch.lgamma(at) - many * at.log()))
    return torch.stack(found)


def _entries(x: SparseCounts | Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column among the kept genes, and value of each entry of these."""
    rows, columns, values = entries(x)
    if bool(kept.all()):
        return rows, columns, values
    told = kept[columns].nonzero()[:, 0]
    return rows[told], (kept.cumsum(0) - 1)[columns[told]], values[told]


def wide(like: Tensor) -> torch.dtype:
    """Type for differences of large numbers."""
    return torch.float32 if like.device.type == "mps" else torch.float64
