"""How much each gene varies on its own, beyond what the network explains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from scif.core.noise import NegativeBinomial
from scif.counts.data.dataset import CountBatch, numbered
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import Thinned
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.latent import MAX_SHAPE
from scif.parallel import spread

__all__ = ["GeneVariation", "drawn_variation", "few", "fit_variation", "moment_variation", "passes"]

#: Shapes to choose from: from "the observation says it all" to "the network says it all".
BOUNDS = 0.0001, 2000.0
GRID = torch.tensor([*np.geomspace(*BOUNDS, 19), MAX_SHAPE], dtype=torch.float32)
#: The same with so many steps from one to the next; losses are smooth, so that those between need not be looked at.
STEPS = 4
FINE = torch.tensor([*np.geomspace(*BOUNDS, STEPS * (len(GRID) - 2) + 1), MAX_SHAPE], dtype=torch.float32)
#: Shapes below are those of genes that a few cells have all of. One gene's counts hardly speak against them, and a
#: mean of dispersions hears them most: they start with a share of the prior that falls with this power.
RARE, FALL = 0.02, 4
#: Entries (cells x genes) that are enough while training goes on, and of the last estimate, which is kept.
FEW_ENTRIES, MANY_ENTRIES = 3_000_000, 12_000_000
#: Genes on each side that are of similar expression: at the least, and one in so many.
SIMILAR, ONE_IN = 50, 40
#: Rounds of what these share. Few leave some of the broad prior that they start from, which predicts a little better;
#: but it lends variation to genes with few molecules, and variance is to be kept.
PRIOR_ROUNDS, ROUNDS_FOR_VARIANCE = 10, 40


@dataclass(frozen=True)
class GeneVariation:
    """Variation of each gene around the network's expectation, as gamma shapes ``(genes,)``.

    Attributes
    ----------
    residual_shape
        Shape of the biological part (large: none).
    inverse_dispersion
        Inverse dispersion of the technical part (large: none).
    """

    residual_shape: Tensor
    inverse_dispersion: Tensor

    def put_into(self, model: CountConsistency) -> None:
        """Let a denoiser use these values."""
        model.residual_shape.copy_(self.residual_shape)
        model.inverse_dispersion.copy_(self.inverse_dispersion)


def few(cells: Iterable[CountBatch]) -> list[CountBatch]:
    """The first minibatches, of :data:`FEW_ENTRIES` at most; others are not looked at."""
    chosen: list[CountBatch] = []
    for cell in cells:
        if chosen and _entries([*chosen, cell]) > FEW_ENTRIES:
            break
        chosen.append(cell)
    return chosen


def passes(cells: Sequence[CountBatch]) -> int:
    """How often to look at minibatches, more often if they are small: each time other molecules are hidden."""
    return int(min(max(MANY_ENTRIES // _entries(cells), 1), 8))


def _entries(cells: Sequence[CountBatch]) -> int:
    return sum(cell.x.num_cells * cell.x.num_genes for cell in cells)


@torch.no_grad()
def fit_variation(
    model: CountConsistency,
    cells: Sequence[CountBatch],
    *,
    technical: Tensor | float | None,
    generator: torch.Generator,
    times: int = 1,
) -> GeneVariation:
    """Estimate each gene's own variation by predicting 20% of the molecules from the others.

    How well each of :data:`GRID` predicts the hidden molecules is the evidence for that gamma shape of a gene's total
    variation, and the dispersion its posterior mean under a prior learned from genes of similar expression. Once
    scales of cells are known it is the shape in a cell of scale one; the visible molecules tell each cell's. Hidden
    and visible molecules of a cell share technical dispersion, so that thinning cannot tell it from biology; what is
    technical is taken off the total afterwards.

    Parameters
    ----------
    model
        The denoiser.
    cells
        Minibatches of counts.
    technical
        Technical inverse dispersion, one number or per gene; None to estimate it as the overdispersion that even the
        steadiest fortieth of the well-measured genes shows.
    generator
        Source of randomness.
    times
        How often to hide molecules of each cell.
    """
    loss = torch.zeros(len(GRID), model.network.num_genes, dtype=torch.float64)
    expression = torch.zeros(model.network.num_genes, dtype=torch.float64)
    follows = model.cell_scale.follows

    def parted() -> Iterable[tuple[CountBatch, Thinned]]:
        """Drawn one after the other: random numbers are in the order of the cells."""
        for cell in [*cells] * times:
            yield cell, cell.x.thin(torch.full((cell.x.num_cells,), 0.8, device=cell.x.device), generator=generator)

    def found(given: tuple[CountBatch, Thinned]) -> tuple[Tensor, Tensor]:
        cell, parts = given
        batch, ratio = cell.batch, cell.ratio
        seen, hidden = parts.a.totals().clamp_min(1e-6), parts.b.totals()
        library = seen if ratio is None else seen * ratio
        one = torch.ones_like(seen)
        mu = seen[:, None] * model.rates(parts.a, one, library=library, batch=batch)
        scale = model.scales(parts.a, model.at_depth(mu, one, library=library, batch=batch), one)
        expected = mu.sum(0).cpu()
        # both parts store the same entries
        rate, rows, columns, visible = hidden / seen, parts.a.rows, parts.a.columns, parts.a.values
        inverse, share = mu.clamp_min(1e-20).reciprocal_().mul_(model.cell_scale.factors(scale)), mu
        rates = torch.stack([rate, rate * scale])
        at_scale = torch.where(follows[columns], scale[rows], 1.0)
        inverse_there, of_genes = inverse[rows, columns], EntrySums(rows, columns, mu.shape, axis=0)
        losses = []
        for shape in GRID.tolist():
            # with the cell's shape the posterior mean is mu (visible + shape) / (mu + shape) = share (visible + shape)
            torch.mul(inverse, shape, out=share).add_(1.0).reciprocal_()
            at_entries = (inverse_there * shape).add_(1.0).reciprocal_()
            log_mean = (at_entries * (visible + shape * at_scale)).clamp_min(1e-12).log()
            alike, scaled = rates @ share
            here = shape * torch.where(follows, scaled, alike)
            losses.append(here + of_genes(at_entries * visible * rate[rows] - parts.b.values * log_mean))
        return torch.stack(losses).cpu(), expected

    for some, expected in spread(found, parted(), on=model.device):
        loss += some
        expression += expected
    return _divide(_posterior_mean(loss / times, expression), expression, technical)


@torch.no_grad()
def moment_variation(
    model: CountConsistency,
    cells: Sequence[CountBatch],
    *,
    technical: Tensor | float | None,
) -> GeneVariation:
    """A first estimate of each gene's own variation, by moments around the network's expectation.

    Parameters are those of :func:`fit_variation`.
    """
    expected, observed = [], []
    for cell in cells:
        counts, batch, ratio = cell.x, cell.batch, cell.ratio
        totals = counts.totals()
        library = totals if ratio is None else totals * ratio
        expected.append(totals[:, None] * model.rates(counts, torch.ones_like(totals), library=library, batch=batch))
        observed.append(counts.dense())
    x0 = torch.cat(expected).cpu()
    total = NegativeBinomial.fit(torch.cat(observed).cpu(), x0).inverse_dispersion
    return _divide(total.clamp(float(GRID[0]), MAX_SHAPE), x0.sum(0), technical)


@torch.no_grad()
def drawn_variation(
    model: CountConsistency,
    cells: Sequence[CountBatch],
    codes: Tensor,
    *,
    technical: Tensor | float | None,
) -> GeneVariation:
    """Each gene's own variation around the expectation at codes drawn from their posteriors, by likelihood.

    Unlike that around the network's expectation it holds nothing of what is not known of the codes.

    Parameters
    ----------
    model
        The denoiser, with its prior of codes.
    cells
        Minibatches of counts.
    codes
        Codes of these cells and perhaps of more, ``(cells, k)``.
    technical
        As for :func:`fit_variation`.
    """
    loss = torch.zeros(len(GRID), model.network.num_genes, dtype=torch.float64)
    expression = torch.zeros(model.network.num_genes, dtype=torch.float64)

    def found(cell: tuple[CountBatch, slice]) -> tuple[Tensor, Tensor]:
        counts = cell[0].x
        offset = model.network.offset(cell[0].batch, counts.totals())
        mu = counts.totals()[:, None] * torch.softmax(model.prior.logits(codes[cell[1]], offset=offset, loose=True), 1)
        at_entries = mu[counts.rows, counts.columns]
        of_genes = EntrySums(counts.rows, counts.columns, mu.shape, axis=0)
        losses = []
        for shape in GRID.tolist():
            here = shape * torch.log1p(mu / shape).sum(0)
            ways = torch.lgamma(counts.values + shape) - math.lgamma(shape)
            losses.append(here + of_genes(counts.values * torch.log(at_entries + shape) - ways))
        return torch.stack(losses).cpu(), mu.sum(0).cpu()

    for some, expected in spread(found, numbered(cells, model.device), on=model.device):
        loss += some
        expression += expected
    return _divide(_posterior_mean(loss, expression, rounds=ROUNDS_FOR_VARIANCE), expression, technical)


def _divide(total: Tensor, expression: Tensor, technical: Tensor | float | None) -> GeneVariation:
    """Divide total variation into a technical and a biological part."""
    if technical is None:
        technical = _steady_dispersion(total, expression)
    theta = torch.as_tensor(technical, dtype=torch.float32).cpu().expand(len(total)).clamp(max=MAX_SHAPE)
    theta = torch.maximum(theta, total)  # no more can be technical than there is
    # dispersions of a product of independent gamma factors: 1 + total = (1 + biological)(1 + technical)
    left = (1.0 + 1.0 / total) / (1.0 + 1.0 / theta) - 1.0
    return GeneVariation((1.0 / left.clamp_min(1.0 / MAX_SHAPE)).clamp(max=MAX_SHAPE), theta.clone())


def _posterior_mean(loss: Tensor, expression: Tensor, *, rounds: int = PRIOR_ROUNDS) -> Tensor:
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


def _steady_dispersion(total: Tensor, expression: Tensor) -> float:
    """Inverse dispersion of the steadiest few among the better-measured half of the expressed genes."""
    expressed = expression > 0
    if not bool(expressed.any()):
        return MAX_SHAPE
    measured = expression >= expression[expressed].median()
    return float(total[measured].quantile(0.975))
