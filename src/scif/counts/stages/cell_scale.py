"""How unequal cells are in what their genes vary on their own, and which genes go along with that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch
from scif.counts.posterior.cell_scale import FINE
from scif.counts.posterior.consistency import CountConsistency
from scif.parallel import spread

__all__ = ["expectations", "fit_cell_scale"]

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
