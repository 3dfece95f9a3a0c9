"""How much the genes of a cell vary on their own, next to those of other cells."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor, nn

from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import SparseCounts, entries
from scif.counts.posterior.gene_variation import combined_shape
from scif.counts.posterior.latent import MIN_TIME

__all__ = ["CellScale"]

#: Binary logarithms of the scales at which counts are looked at, and those between them.
POINTS, FINE = np.linspace(-3.0, 3.0, 5), np.linspace(-3.0, 3.0, 49)
#: What the fine ones have of the others: a cubic curve through them.
BETWEEN = CubicSpline(POINTS, np.eye(len(POINTS)))(FINE)
#: What is added up in the likelihood of a few molecules.
STEPS = torch.arange(1.0, 8.0)[:, None]
#: Genes with a larger shape do not vary enough to say anything.
STEADY = 1e3


class CellScale(nn.Module):
    r"""Scale :math:`s_i` of each cell on its genes' own variation, whose gamma shapes are :math:`s_i \alpha_g`.

    A cell below one is further from what genes share than others are: it is stressed, two cells in one, of a kind
    that the model has hardly seen, or measured with more noise than counting has. More of its deviations are signal.
    The scale is the reciprocal of a posterior mean of the dispersion, relative to that of the prior, under the
    negative binomial likelihood of the cell's counts and the prior :math:`\log_2 s_i \sim N(\text{centre},
    \text{spread}^2)`. Expectations are fitted to the counts that they are compared with; what this adds to all scales
    alike is in ``centre`` and drops out.

    Until ``spread`` is learned it is zero, and all scales are one. Genes that do not go along are none of ``follows``.

    Parameters
    ----------
    genes
        Number of genes.

    Examples
    --------
    >>> import torch
    >>> from scif.counts.posterior.cell_scale import CellScale
    >>> scale = CellScale(genes=400)
    >>> mu, shape = torch.full((2, 400), 5.0), torch.full((400,), 4.0)
    >>> x = torch.stack([mu[0], torch.arange(400) % 20.0])  # the first cell is as expected, the other is not
    >>> evidence = scale.evidence(x, mu, shape, torch.ones(2))
    >>> scale(evidence).tolist()
    [1.0, 1.0]
    >>> scale.spread.fill_(1.0)
    tensor(1.)
    >>> first, second = scale(evidence).tolist()
    >>> first > 2, second < 1
    (True, True)
    """

    centre: Tensor
    spread: Tensor
    follows: Tensor

    def __init__(self, genes: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(0.0))
        self.register_buffer("spread", torch.tensor(0.0))
        self.register_buffer("follows", torch.ones(genes, dtype=torch.bool))

    @property
    def even(self) -> bool:
        """Whether all cells are taken to be alike."""
        return float(self.spread) == 0.0

    def forward(self, evidence: Tensor) -> Tensor:
        """Scales ``(cells,)``.

        Parameters
        ----------
        evidence
            What :meth:`evidence` gives, ``(5, cells)``.
        """
        if self.even:
            return torch.ones_like(evidence[0])
        dispersion = torch.from_numpy(2.0**-FINE).to(evidence)
        found: Tensor = dispersion @ self.posterior(evidence)
        return dispersion @ torch.softmax(self._log_prior(evidence), 0) / found

    def factors(self, scales: Tensor) -> Tensor:
        """Of scales ``(cells,)`` on the shapes of the genes that go along, and one for the rest, ``(cells, genes)``."""
        return torch.where(self.follows, scales[:, None], 1.0)

    def posterior(self, evidence: Tensor) -> Tensor:
        """Chances of 49 scales from 1/8 to 8, ``(49, cells)``, given what :meth:`evidence` gives."""
        between = torch.from_numpy(BETWEEN).to(evidence) @ evidence
        return torch.softmax(between + self._log_prior(evidence)[:, None], 0)

    def _log_prior(self, like: Tensor) -> Tensor:
        off = torch.from_numpy(FINE).to(like) - self.centre.to(like)
        return -0.5 * (off / self.spread.to(like).clamp_min(1e-2)).square()

    @staticmethod
    def evidence(
        x: SparseCounts | Tensor,
        mu: Tensor,
        shape: Tensor,
        t: Tensor,
        *,
        inverse_dispersion: Tensor | None = None,
    ) -> Tensor:
        r"""Log-likelihoods of five scales from 1/8 to 8, ``(5, cells)``, up to a constant of each cell.

        At ``t`` there is :math:`t^2` times the variance of the noise, so that :math:`x_t / t^2` varies as counts with
        the expectation :math:`\mu / t^2` do.

        Parameters
        ----------
        x
            Counts, or points of a path towards them, ``(cells, genes)``.
        mu
            Their expectations, ``(cells, genes)``.
        shape
            Gamma shape of each gene's own variation in a cell of scale one, ``(genes,)``.
        t
            Times in [0, 1], ``(cells,)``.
        inverse_dispersion
            Technical inverse dispersion of each gene, ``(genes,)``; none beyond Poisson noise if not given.
        """
        varies = shape < STEADY
        rows, columns, values = _entries(x, varies)
        # Likelihoods are small differences of large sums, which single precision rounds otherwise in each minibatch;
        # for the logarithms that are summed it will do.
        mu, shape = mu if bool(varies.all()) else mu[:, varies], shape[varies].to(wide(mu))
        values = values.to(shape)
        technical = None if inverse_dispersion is None else inverse_dispersion[varies].to(shape)
        if bool((t < 1).any()):
            sharper = t.to(shape).clamp_min(MIN_TIME).square().reciprocal()[:, None]
            mu, values = mu * sharper.to(mu), values * sharper[rows, 0]
            technical = None if technical is None else technical * sharper
        # lgamma(x + a) - lgamma(a) - x log(a) is zero for a single molecule, a sum of few logarithms for some
        tabled = values == values.floor().clamp(2.0, len(STEPS) + 1.0)
        tabled &= technical is None or technical.dim() == 1
        some, others = tabled.nonzero()[:, 0], (~tabled & (values != 1) & (values > 0)).nonzero()[:, 0]
        place = (values[some].long() - 2) * len(shape) + columns[some]
        many = values[others]
        array = (len(mu), len(shape))
        every, tabled_ones, rest = (
            EntrySums(rows[at], columns[at], array, axis=1) for at in (slice(None), some, others)
        )
        found, stored = [], rows * len(shape) + columns
        ratio, work = torch.empty_like(mu), torch.empty_like(mu, dtype=shape.dtype)
        for factor in (2.0**POINTS).tolist():
            total = combined_shape(shape * factor, technical)
            work.copy_(torch.div(mu, total.to(mu), out=ratio).log1p_())
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
