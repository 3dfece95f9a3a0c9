"""Which genes the network is believed for: those that follow others more surely than chance would have it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from scif.counts.data.dataset import CountBatch, GatheredCounts
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.statistics.large_genes import DEGREE
from scif.counts.statistics.score_test import evidence
from scif.parallel import spread

__all__ = ["fit_credibility"]

#: Evidence that a gene must show at the least, as a standard score.
LEAST = 1.0
#: The same for a gene with variation of its own: as little as keeps shuffled genes uncorrelated with others.
SURE = 2.0
#: Share of what a gene varies that is its own, from which on this is asked for.
OWN = 0.35
#: Part of what genes of similar expression show that is asked for between these, and of one with variation of its own
#: beyond the second, too: where most show much, the few that show little follow nothing, and compositions are closed,
#: so that a little of what a dominant gene does is seen in all others.
TYPICAL = 0.25


@torch.no_grad()
def fit_credibility(
    model: CountConsistency, cells: Iterable[CountBatch], *, gathered: GatheredCounts, rng: np.random.Generator
) -> Tensor:
    r"""One for each gene whose common variation is credible, zero for the others, ``(genes,)``.

    There are two reasons for little evidence (``evidence``) that a gene follows others: it
    may have too few molecules, or vary without the others. One whose counts show variation of its own has had the
    molecules to show what it shares, too: it must show :data:`SURE`, and the part :data:`TYPICAL` of what genes of
    similar expression show. All others must show that part, too, but never more than :data:`SURE`, nor less than
    :data:`LEAST`. What follows the library size alone is not counted as shared.
    How far loadings are shrunk is for :func:`~scif.counts.stages.loadings.refit_loadings` to say.

    Parameters
    ----------
    model
        The denoiser, with its residual shapes.
    cells
        Minibatches of counts.
    gathered
        The same cells together.
    rng
        Halves the cells.
    """
    components = model.network.components.cpu().numpy()
    own = _own_share(model, cells).cpu().numpy()
    sure = evidence(gathered.x, components, batch=gathered.batch, rng=rng)
    typical = _typical(sure, np.asarray(gathered.x.sum(0)).ravel())
    return torch.from_numpy(sure > _asked(own, typical))


def _asked(own: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Evidence asked for, of what is a gene's own and of what similar genes show, ``(genes,)``."""
    part = TYPICAL * typical
    return np.where(own > OWN, part.clip(SURE), part.clip(LEAST, SURE))


def _typical(sure: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Median evidence of the genes of similar expression, ``(genes,)``."""
    order = expression.argsort(kind="stable")
    typical = np.empty(len(order))
    typical[order] = median_filter(sure[order], size=2 * max(50, len(order) // 40) + 1, mode="nearest")
    return typical


def _own_share(model: CountConsistency, cells: Iterable[CountBatch]) -> Tensor:
    """Share that is a gene's own of how its denoised composition varies, ``(genes,)``; what follows depth left out."""
    own, shared = torch.zeros(2, model.network.num_genes, dtype=torch.float32, device=model.device)
    product = own.new_zeros(DEGREE + 1, len(own))
    gram = own.new_zeros(DEGREE + 1, DEGREE + 1)

    def found(cell: CountBatch) -> tuple[Tensor, ...]:
        here = cell.to(model.device)
        totals, one = here.x.totals(), torch.ones_like(here.library)
        logits = model.network(here.x, one, library=here.library, batch=here.batch)
        rho = torch.softmax(logits, 1).clamp_min_(1e-20)
        mu = totals[:, None] * rho
        # what the denoised composition has beyond the network's
        apart = (here.x.dense() - mu).mul_(model.signal_share(mu, one)).div_(totals[:, None]).square_().sum(0)
        common = rho - model.baseline(here.batch)
        depth = torch.vander((totals / model.network.depth).log(), DEGREE + 1)
        return depth.T @ common, depth.T @ depth, apart, common.square_().sum(0)

    sums = (product, gram, own, shared)
    for parts in spread(found, cells, on=model.device):
        for total, part in zip(sums, parts, strict=True):
            total += part
    ridge = 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    shared -= (product * torch.linalg.solve(gram + ridge, product)).sum(0)
    return own / (own + shared.clamp_min(0.0)).clamp_min(1e-30)
