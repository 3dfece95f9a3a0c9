"""Stage: totals over cells of the genes that share no variance, which denoising keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scif.counts.config import GeneTotalsConfig
from scif.counts.data.batch import GatheredCounts, cached_cells
from scif.counts.network import CountNetwork
from scif.counts.posterior.expectation import profiles
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.outliers import find_outliers
from scif.counts.posterior.parameters import Parameters
from scif.parallel import spread

__all__ = ["GeneTotals", "fit_gene_totals"]


@dataclass(frozen=True)
class GeneTotals:
    """Expectations of the genes that share no variance, such that their totals are kept.

    Attributes
    ----------
    profile
        Pooled composition, ``(genes,)``.
    bias
        Biases of the technical trend, ``(genes,)``; None if there is no trend.
    """

    profile: Tensor
    bias: Tensor | None


@torch.no_grad()
def fit_gene_totals(
    network: CountNetwork, parameters: Parameters, gathered: GatheredCounts, config: GeneTotalsConfig
) -> GeneTotals | None:
    """Set the expectations of genes that share no variance so that denoising keeps their totals.

    Two things change a total. An extreme outlier count is kept as observed and is no longer part of the expectation of
    all cells. And where counts are not quite log-linear in depth, their ratio to the trend does not average one.

    Returns
    -------
    None if all genes share variance, or if estimates contain no gene-specific variation.
    """
    assert parameters.credibility is not None  # an earlier stage
    genes = (parameters.credibility == 0.0).nonzero()[:, 0]
    if len(genes) == 0 or not parameters.residual:
        return None
    one = torch.ones_like(parameters.profile[genes])
    counted, usual, _, _ = _totals(network, parameters, gathered, genes, factor=one)
    factor = torch.where(usual < counted, _ratio(usual, counted, config), 1.0)
    _, _, wanted, estimated = _totals(network, parameters, gathered, genes, factor=factor)
    profile, level = parameters.profile.clone(), one
    if parameters.trend is not None:
        level = torch.where(parameters.trend.slope[genes] < 0.0, _ratio(wanted, estimated, config), 1.0)
    profile[genes] *= factor * level
    over = (profile @ (1.0 - parameters.credibility)).clamp_min(1.0)  # constant shares sum to one at most
    profile /= over
    if parameters.trend is None:
        return GeneTotals(profile, None)
    bias = parameters.trend.bias.clone()
    bias[genes] -= (level / over).log()
    return GeneTotals(profile, bias)


def _ratio(wanted: Tensor, present: Tensor, config: GeneTotalsConfig) -> Tensor:
    """Factor on an expectation, ``(genes,)``."""
    return ((wanted + config.pseudo) / (present + config.pseudo)).clamp(1.0 / config.most, config.most)


def _totals(
    network: CountNetwork, parameters: Parameters, gathered: GatheredCounts, genes: Tensor, *, factor: Tensor
) -> Tensor:
    """Totals of genes over cells, ``(4, genes)``, with ``factor (genes,)`` on their expectations.

    Those of counts, of counts that are no outliers, of depth-corrected expectations, and of estimates without outliers.
    The cells may be a part of those of the pooled profile, so that the first and the third differ.
    """
    counts, device = gathered.x[:, genes.cpu().numpy()], genes.device
    own = parameters.dispersion.residual_shape[genes]
    technical = parameters.dispersion.technical_of(genes)
    pooled = profiles(network, parameters)[:, genes] * factor

    def totals_of(rows: np.ndarray) -> Tensor:
        x = torch.from_numpy(counts[rows].toarray()).to(device)
        library = torch.from_numpy(gathered.library[rows]).to(device)
        batch = torch.from_numpy(gathered.batch[rows]).to(device)
        level = library[:, None] * pooled[batch]
        trend = parameters.trend
        ratio = 1.0 if trend is None else trend.factor(library, batch=batch, genes=genes)
        expected = level * ratio
        share = signal_share(expected, own, technical)
        outliers = find_outliers(x, expected, own, inverse_dispersion=technical)
        estimate, none = level * (1.0 - share) + x * share / ratio, torch.zeros_like(outliers.weight)
        usual, estimate = (outliers.into(part, none) for part in (x, estimate))
        return torch.stack([x.sum(0), usual.sum(0), level.sum(0), estimate.sum(0)])

    cells = counts.shape[0]
    pieces = np.array_split(np.arange(cells), -(-cells // cached_cells(len(genes))))
    return torch.stack(list(spread(totals_of, pieces, on=device))).sum(0)
