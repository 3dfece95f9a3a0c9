"""How unequal cells are in what their genes vary on their own, and which genes go along with that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch
from scif.counts.posterior.cell_scale import FINE, STEADY
from scif.counts.posterior.consistency import CountConsistency
from scif.parallel import spread

__all__ = ["expectations", "find_followers", "fit_cell_scale"]

#: Least number of cells; rounds of the scales' distribution, and of the share of genes that go along.
CELLS, ROUNDS, SHARE_ROUNDS = 20, 30, 50


@torch.no_grad()
def expectations(model: CountConsistency, cells: Iterable[CountBatch]) -> list[Tensor]:
    """Expected counts at depth ``(cells, genes)`` of each minibatch."""

    def expected(cell: CountBatch) -> Tensor:
        totals = cell.x.totals()
        one = torch.ones_like(totals)
        mu = totals[:, None] * model.rates(cell.x, one, library=cell.library, batch=cell.batch)
        return model.at_depth(mu, one, library=cell.library, batch=cell.batch)

    return list(spread(expected, cells, on=model.device))


@torch.no_grad()
def fit_cell_scale(model: CountConsistency, cells: Sequence[CountBatch], expected: Sequence[Tensor]) -> Tensor:
    """Learn how the scales of cells are distributed, see ``CellScale``, by expectation maximisation.

    They come from the genes that are believed to follow others.

    Parameters
    ----------
    model
        The denoiser, trained, with its genes' own variation; ``model.cell_scale`` is changed in place, unless cells
        are fewer than :data:`CELLS`.
    cells
        Minibatches of counts.
    expected
        What :func:`expectations` gives.

    Returns
    -------
    Scales ``(cells,)``.
    """
    scale = model.cell_scale

    def found(given: tuple[CountBatch, Tensor]) -> Tensor:
        cell, mu = given
        return model.scale_evidence(cell.x, mu, torch.ones_like(cell.library))

    evidence = torch.cat(list(spread(found, zip(cells, expected, strict=True), on=model.device)), 1)
    if evidence.shape[1] < CELLS:
        return scale(evidence)
    at = torch.from_numpy(FINE).to(evidence)
    scale.centre.fill_(0.0)
    scale.spread.fill_(0.5)
    for _ in range(ROUNDS):
        chance = scale.posterior(evidence)
        mean = at @ chance
        left = at.square() @ chance - mean.square()
        scale.centre.copy_(mean.mean())
        scale.spread.copy_((mean.var(correction=0) + left.mean()).clamp_min(0.0).sqrt())  # rounding may go below
    return scale(evidence)


@torch.no_grad()
def find_followers(
    model: CountConsistency, cells: Sequence[CountBatch], expected: Sequence[Tensor], *, scales: Tensor
) -> None:
    r"""Find the genes whose own variation goes along with the scales of cells.

    Those that are believed to follow others do, for the scales come from them. Each of the rest is tested by the gain
    in log-likelihood from shapes that are alike in all cells to shapes that have the scale, each at its best level. A
    gene goes along if that is likelier than not in view of how many do. Genes that are shuffled over the cells do
    not, and stay apart from all others.

    Parameters
    ----------
    model, cells, expected
        As for :func:`fit_cell_scale`.
    scales
        What it returns.
    """
    shape = model.residual_shape
    believed = model.credibility > 0
    rest = ~believed & (shape < STEADY)
    model.cell_scale.follows.copy_(believed)
    if model.cell_scale.even or not bool(rest.any()):
        return
    sums = torch.zeros(2, 3, int(rest.sum()), dtype=torch.float64)

    def found(given: tuple[CountBatch, Tensor, Tensor]) -> Tensor:
        cell, mu, here = given
        both = []
        for factor in (torch.ones_like(here), here):
            own = shape * factor[:, None].to(shape)
            likelihood, slope = model.own_likelihood(cell.x, mu, own, genes=rest)
            both.append(torch.stack([likelihood.sum(0), slope.sum(0), slope.square().sum(0)]))
        return torch.stack(both).cpu()

    scales_of = scales.split([cell.x.num_cells for cell in cells])
    for some in spread(found, zip(cells, expected, scales_of, strict=True), on=model.device):
        sums += some
    likelihood, slope, information = sums.unbind(1)
    # to first order, what moving the gene's level to its best adds
    alike, scaled = likelihood + 0.5 * slope.square() / information.clamp_min(1e-12)
    gain = scaled - alike
    share = torch.tensor(0.5, dtype=torch.float64)
    for _ in range(SHARE_ROUNDS):
        chance = torch.sigmoid(gain + torch.logit(share))
        share = chance.mean().clamp(1e-3, 1.0 - 1e-3)
    model.cell_scale.follows[rest] = (chance > 0.5).to(rest.device)
