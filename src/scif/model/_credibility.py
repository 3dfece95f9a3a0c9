"""Which genes the network is believed for: the evidence it has against what chance would give."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from scipy.ndimage import median_filter
from torch import Tensor

from scif.model._data import CountBatch
from scif.nn import CountConsistency

__all__ = ["fit_credibility"]

#: How many times the evidence of chance a gene must show at the least.
LEAST = 1.1
#: The same for a gene with variation of its own: as few as keep shuffled genes uncorrelated with others.
MARGIN = 2.5
#: Share of what a gene varies that is its own, from which on this is asked for.
OWN = 0.35
#: Evidence of chance alone, per free loading of a gene. In theory 1; more, since it scatters around its mean.
CHANCE = 1.5


@torch.no_grad()
def fit_credibility(model: CountConsistency, cells: Iterable[CountBatch], *, weight: float = 1.0) -> Tensor:
    r"""One for each gene whose common variation is credible, zero for the others, ``(genes,)``.

    The evidence for the network's :math:`\mu` against the pooled profile's :math:`\bar\mu` is
    :math:`F_g = \sum_i (\mu_{ig} - \bar\mu_{ig})^2 / \mathrm{Var}(x_{ig})`. Fitting ``d`` loadings to a gene that has
    nothing in common with others makes it about ``d``. There are two reasons to show little more than that: a gene
    may have too few molecules, or vary without the others. One whose counts show variation of its own has had the
    molecules to show what it shares, too: it must show :data:`MARGIN` times the evidence of chance, all others
    :data:`LEAST` times. How far loadings are shrunk is for :func:`~scif.model._loadings.refit_loadings` to say.
    Genes with few molecules are fitted less far than ``d``; where half of the genes of similar expression have less
    evidence, their median takes its place.

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
    expression, shared, own = (torch.zeros_like(evidence) for _ in range(3))
    count = 0
    for cell in cells:
        here = cell.to(model.device)
        totals, one = here.x.totals(), torch.ones_like(here.library)
        logits = model.network(here.x, one, library=here.library, batch=here.batch)
        rho = torch.softmax(logits, 1).clamp_min_(1e-20)
        mu = totals[:, None] * rho
        # what the denoised composition has beyond the network's
        own += (here.x.dense() - mu).mul_(model.signal_share(mu, one)).div_(totals[:, None]).square_().sum(0)
        noise = (mu / model.residual_shape).add_(1.0).mul_(rho)
        common = (rho - model.baseline(here.batch)).square_()
        shared += common.sum(0)
        evidence += totals @ common.div_(noise)
        expression.index_add_(0, here.x.columns, here.x.values)
        count += here.x.num_cells
    evidence *= weight
    chance = _typical(evidence, expression).clamp_max(CHANCE * min(model.network.width + model.network.extra, count))
    margin = torch.where(own > OWN * (own + shared), MARGIN, LEAST)
    return (evidence > margin * chance).to(evidence)


def _typical(evidence: Tensor, expression: Tensor) -> Tensor:
    """Median evidence of the genes of similar expression, ``(genes,)``."""
    order = expression.cpu().argsort()
    size = 2 * max(50, len(order) // 40) + 1
    if len(order) <= size:
        return evidence.median().expand_as(evidence)
    typical = torch.empty(len(order))
    typical[order] = torch.from_numpy(median_filter(evidence.cpu()[order].numpy(), size=size, mode="nearest"))
    return typical.to(evidence)
