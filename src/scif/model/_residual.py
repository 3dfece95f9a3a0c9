"""How much each gene varies on its own, beyond what the network explains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scif.core.noise import NegativeBinomial
from scif.model._data import CountBatch
from scif.nn import CountConsistency
from scif.nn.code_prior import MAX_SHAPE

__all__ = ["GeneVariation", "drawn_variation", "few", "fit_variation", "many", "moment_variation"]

#: Shapes to choose from: from "the observation says it all" to "the network says it all".
GRID = torch.tensor([*np.geomspace(0.02, 2000.0, 24), MAX_SHAPE], dtype=torch.float32)
#: Entries (cells x genes) that are enough while training goes on, and of the last estimate, which is kept.
FEW_ENTRIES, MANY_ENTRIES = 3_000_000, 12_000_000
#: Weight of the average gene of similar expression against the gene itself.
TREND_WEIGHT = 1.0


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


def many(cells: Sequence[CountBatch]) -> Sequence[CountBatch]:
    """All minibatches, several times over if they are small: each time other molecules are hidden."""
    return list(cells) * int(min(max(MANY_ENTRIES // _entries(cells), 1), 8))


def _entries(cells: Sequence[CountBatch]) -> int:
    return sum(cell.x.num_cells * cell.x.num_genes for cell in cells)


@torch.no_grad()
def fit_variation(
    model: CountConsistency,
    cells: Sequence[CountBatch],
    *,
    technical: Tensor | float | None,
    generator: torch.Generator,
) -> GeneVariation:
    """Estimate each gene's own variation by predicting 20% of the molecules from the others.

    The total variation of a gene is the gamma shape with the least Poisson loss on the hidden molecules, averaged
    with that of genes of similar expression. Hidden and visible molecules of a cell share technical dispersion,
    so that thinning cannot tell it from biology; what is technical is taken off the total afterwards.

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
    """
    loss = torch.zeros(len(GRID), model.network.num_genes, dtype=torch.float64)
    expression = torch.zeros(model.network.num_genes, dtype=torch.float64)
    for cell in cells:
        counts, batch, ratio = cell.x, cell.batch, cell.ratio
        parts = counts.thin(torch.full((counts.num_cells,), 0.8, device=counts.device), generator=generator)
        seen, hidden = parts.a.totals().clamp_min(1e-6), parts.b.totals()
        library = seen if ratio is None else seen * ratio
        times = torch.ones_like(seen)
        mu = seen[:, None] * model.rates(parts.a, times, library=library, batch=batch)
        expression += mu.sum(0).cpu()
        # both parts store the same entries
        rate, rows, columns, visible = hidden / seen, parts.a.rows, parts.a.columns, parts.a.values
        inverse, share = mu.clamp_min(1e-20).reciprocal_(), mu
        for i, shape in enumerate(GRID.tolist()):
            # the posterior mean is mu (visible + shape) / (mu + shape) = share (visible + shape)
            torch.mul(inverse, shape, out=share).add_(1.0).reciprocal_()
            at_entries = share[rows, columns]
            log_mean = (at_entries * (visible + shape)).clamp_min(1e-12).log()
            here = shape * (rate @ share)
            here.index_add_(0, columns, at_entries * visible * rate[rows] - parts.b.values * log_mean)
            loss[i] += here.cpu()
    return _divide(_minimise(_with_trend(loss, expression)), expression, technical)


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
    end = 0
    for cell in cells:
        counts = cell.x
        start, end = end, end + counts.num_cells
        offset = model.network.offset(cell.batch, counts.totals())
        mu = counts.totals()[:, None] * torch.softmax(
            model.prior.logits(codes[start:end], offset=offset, loose=True), 1
        )
        expression += mu.sum(0).cpu()
        at_entries = mu[counts.rows, counts.columns]
        for i, shape in enumerate(GRID.tolist()):
            here = shape * torch.log1p(mu / shape).sum(0)
            ways = torch.lgamma(counts.values + shape) - math.lgamma(shape)
            here.index_add_(0, counts.columns, counts.values * torch.log(at_entries + shape) - ways)
            loss[i] += here.cpu()
    return _divide(_minimise(_with_trend(loss, expression)), expression, technical)


def _divide(total: Tensor, expression: Tensor, technical: Tensor | float | None) -> GeneVariation:
    """Divide total variation into a technical and a biological part."""
    if technical is None:
        technical = _steady_dispersion(total, expression)
    theta = torch.as_tensor(technical, dtype=torch.float32).cpu().expand(len(total)).clamp(max=MAX_SHAPE)
    theta = torch.maximum(theta, total)  # no more can be technical than there is
    # dispersions of a product of independent gamma factors: 1 + total = (1 + biological)(1 + technical)
    left = (1.0 + 1.0 / total) / (1.0 + 1.0 / theta) - 1.0
    return GeneVariation((1.0 / left.clamp_min(1.0 / MAX_SHAPE)).clamp(max=MAX_SHAPE), theta.clone())


def _minimise(loss: Tensor) -> Tensor:
    """Shape with the least loss ``(genes,)``, by a parabola through three points of the evenly spaced part."""
    best = loss.argmin(0)
    inner = (best > 0) & (best < len(GRID) - 2)
    middle = best.clamp(1, len(GRID) - 3)
    left, here, right = (loss.gather(0, (middle + i)[None])[0] for i in (-1, 0, 1))
    offset = 0.5 * (left - right) / (left - 2 * here + right).clamp_min(1e-300)
    step = float(GRID[1] / GRID[0])
    refined = GRID[middle] * step ** offset.clamp(-0.5, 0.5)
    return torch.where(inner, refined.float(), GRID[best])


def _with_trend(loss: Tensor, expression: Tensor) -> Tensor:
    """Add to each gene's loss the mean of the losses of genes of similar expression."""
    order = expression.argsort()
    genes = len(order)
    window = max(25, genes // 100)
    relative = loss[:, order] - loss[-1:, order]
    sums = torch.nn.functional.pad(relative.cumsum(1), (1, 0))
    low, high = (torch.arange(genes) - window).clamp_min(0), (torch.arange(genes) + window + 1).clamp_max(genes)
    trend = (sums[:, high] - sums[:, low]) / (high - low)
    out = torch.empty_like(relative)
    out[:, order] = relative + TREND_WEIGHT * trend
    return out


def _steady_dispersion(total: Tensor, expression: Tensor) -> float:
    """Inverse dispersion of the steadiest few among the better-measured half of the expressed genes."""
    expressed = expression > 0
    if not bool(expressed.any()):
        return MAX_SHAPE
    measured = expression >= expression[expressed].median()
    return float(total[measured].quantile(0.975))
