"""How far the network is believed, gene by gene: the evidence it has against what chance would give."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from scif.model._data import CountBatch
from scif.nn import CountConsistency

__all__ = ["fit_credibility"]

#: Evidence of chance alone, per free loading of a gene. In theory 1; more, since it scatters around its mean.
CHANCE = 1.2


@torch.no_grad()
def fit_credibility(model: CountConsistency, cells: Iterable[CountBatch], *, weight: float = 1.0) -> Tensor:
    r"""Share of each gene's common variation to keep, ``(genes,)``.

    The evidence for the network's :math:`\mu` against the pooled profile's :math:`\bar\mu` is
    :math:`F_g = \sum_i (\mu_{ig} - \bar\mu_{ig})^2 / \mathrm{Var}(x_{ig})`. Fitting ``d`` loadings to a gene that has
    nothing in common with others makes it about ``d``; the positive-part rule of James and Stein,
    :math:`w_g = \max(0, 1 - d / F_g)`, takes that off.

    Parameters
    ----------
    model
        The denoiser, with its residual shapes.
    cells
        Minibatches of counts.
    weight
        Number of cells that each of these stands for.
    """
    evidence = torch.zeros(model.network.num_genes, dtype=torch.float32, device=model.device)
    count = 0
    for cell in cells:
        here = cell.to(model.device)
        totals = here.x.totals()
        logits = model.network(here.x, torch.ones_like(totals), library=here.library, batch=here.batch)
        rho = torch.softmax(logits, 1).clamp_min_(1e-20)
        base = model.baseline(here.batch)
        noise = (rho / model.residual_shape).mul_(totals[:, None]).add_(1.0).mul_(rho)
        evidence += totals @ (rho - base).square_().div_(noise)
        count += here.x.num_cells
    chance = CHANCE * min(model.network.width + model.network.extra, count)
    return (1.0 - chance / (weight * evidence).clamp_min(1e-12)).clamp_min(0.0)
