"""The expected count of which the best share of signal is right for all cells, gene by gene."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scif.counts.data.dataset import GatheredCounts, cached_cells
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.gene_variation import signal_share
from scif.parallel import spread

__all__ = ["fit_typical"]


@torch.no_grad()
def fit_typical(model: CountConsistency, gathered: GatheredCounts) -> None:
    r"""Set the typical count of each gene that is not believed.

    Estimates that vary alike in all cells have the share :math:`\sqrt{k c}` of a deviation, where :math:`k` is the best
    one of the cell (``even_share``). Their squared errors, summed over cells, are least for
    :math:`c = \langle \sqrt k \rangle^2`; the typical count is the one whose best share that is.

    Parameters
    ----------
    model
        The denoiser, with its trend and with the variation of its genes; ``model.typical`` is changed in place.
    gathered
        Counts of cells.
    """
    rest, device = (model.credibility == 0.0).nonzero()[:, 0], model.device
    if len(rest) == 0:
        return
    own, technical = model.residual_shape[rest], model.technical_of(rest)
    profiles = model.profiles[:, rest]

    def summed(rows: np.ndarray) -> Tensor:
        """Of some cells."""
        library, batch = (torch.from_numpy(part[rows]).to(device) for part in (gathered.library, gathered.batch))
        trend = model.trend(library, torch.ones_like(library), batch=batch, genes=rest)
        return signal_share(library[:, None] * profiles[batch] * trend, own, technical).sqrt().sum(0)

    cells = gathered.x.shape[0]
    pieces = np.array_split(np.arange(cells), -(-cells // cached_cells(len(rest))))
    mean = torch.stack(list(spread(summed, pieces, on=device))).sum(0) / cells
    share = mean.square().cpu().double()
    # the share is mu / (mu + shape + mu (shape + 1) / theta), and less than what it is where mu has no bounds
    shape = own.cpu().double()
    most = torch.ones_like(shape) if technical is None else 1.0 / (1.0 + (shape + 1.0) / technical.cpu().double())
    model.typical[rest] = (shape * share / (1.0 - share / most).clamp_min(1e-6)).to(model.typical)
