"""Level of the genes that follow no others: their totals over cells are to stay what they were."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scif.counts.data.dataset import GatheredCounts, cached_cells
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.outliers import find_outlying
from scif.parallel import spread

__all__ = ["keep_totals"]

#: Molecules added to both totals of a gene, and most that their ratio is made up for.
PSEUDO, MOST = 1.0, 100.0


@torch.no_grad()
def keep_totals(model: CountConsistency, gathered: GatheredCounts) -> None:
    """Set the level of each gene that is not believed such that its total over cells is kept by denoising.

    Two things change it. A count that is its own estimate (``find_outlying``) is no longer a part of what
    is expected of all cells. And where counts are not quite log-linear in depth, what they have beyond the trend is not
    one on average over the molecules, so that estimates, that ratio times the pooled profile, would add up to less or
    more.

    Parameters
    ----------
    model
        The denoiser, with its trend and with the variation of its genes.
    gathered
        Counts of cells.
    """
    rest = (model.credibility == 0.0).nonzero()[:, 0]
    if len(rest) == 0 or not model.residual:
        return
    expected = torch.ones_like(model.profile[rest])
    counted, usual, _, _ = _totals(model, gathered, rest, expected)
    expected = torch.where(usual < counted, _ratio(usual, counted), 1.0)
    sums = _totals(model, gathered, rest, expected)
    _, _, wanted, found = sums
    level = torch.where(model.trend.slope[rest] < 0.0, _ratio(wanted, found), 1.0)
    model.profile[rest] *= expected * level
    over = (model.profile @ (1.0 - model.credibility)).clamp_min(1.0)  # constants may not be more than all there is
    model.profile /= over
    model.trend.bias[rest] -= (level / over).log()


def _ratio(wanted: Tensor, found: Tensor) -> Tensor:
    """Factor on a level, ``(genes,)``."""
    return ((wanted + PSEUDO) / (found + PSEUDO)).clamp(1.0 / MOST, MOST)


def _totals(model: CountConsistency, gathered: GatheredCounts, genes: Tensor, factor: Tensor) -> Tensor:
    """Of genes over cells, ``(4, genes)``, with ``factor`` on what is expected of them.

    Counts; those that are not outlying; what is expected at no depth; and what is estimated where nothing is outlying.
    Cells may be a part of those of the pooled profile, so that the first and the third are not the same.
    """
    counts, device = gathered.x[:, genes.cpu().numpy()], model.device
    own = model.residual_shape[genes]
    technical = model.technical_of(genes)
    profiles = model.profiles[:, genes] * factor

    def summed(rows: np.ndarray) -> Tensor:
        """Of some cells."""
        x = torch.from_numpy(counts[rows].toarray()).to(device)
        library = torch.from_numpy(gathered.library[rows]).to(device)
        batch, one = torch.from_numpy(gathered.batch[rows]).to(device), torch.ones_like(library)
        level = library[:, None] * profiles[batch]
        trend = model.trend(library, one, batch=batch, genes=genes)
        expected = level * trend
        share = signal_share(expected, own, technical)
        outlying = find_outlying(x, expected, own, one, inverse_dispersion=technical)
        out, none = level * (1.0 - share) + x * share / trend, torch.zeros_like(outlying.weight)
        usual, out = (outlying.into(part, none) for part in (x, out))
        return torch.stack([x.sum(0), usual.sum(0), level.sum(0), out.sum(0)])

    cells = counts.shape[0]
    pieces = np.array_split(np.arange(cells), -(-cells // cached_cells(len(genes))))
    return torch.stack(list(spread(summed, pieces, on=device))).sum(0)
