"""Stage: the technical trend with depth of genes that share no variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scif.counts.config import DepthTrendConfig
from scif.counts.data.batch import GatheredCounts
from scif.counts.network import CountNetwork
from scif.counts.posterior.expectation import profiles
from scif.counts.posterior.parameters import Parameters, Trend
from scif.counts.statistics.depth_regression import regress_on_depth

__all__ = ["DepthTrendFit", "fit_depth_trend"]


@dataclass(frozen=True)
class DepthTrendFit:
    """The trend of genes that share no variance.

    Attributes
    ----------
    trend
        None if no gene has one.
    genes
        Genes that have one.
    """

    trend: Trend | None
    genes: int

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        return f"{self.genes:,} genes with a technical trend"


@torch.no_grad()
def fit_depth_trend(
    network: CountNetwork, parameters: Parameters, gathered: GatheredCounts, config: DepthTrendConfig
) -> DepthTrendFit:
    """Fit the technical trend of the genes that share no variance; the others have none.

    A trend of such a gene with depth is no biology but how it was measured :cite:p:`hafemeister2019normalization`.
    """
    assert parameters.credibility is not None  # an earlier stage
    alone = np.flatnonzero(parameters.credibility.cpu().numpy() < 1.0)
    if len(alone) == 0:
        return DepthTrendFit(None, 0)
    pooled = profiles(network, parameters)
    batches, genes = pooled.shape
    fit = regress_on_depth(
        gathered.x[:, alone],
        gathered.library.astype(np.float64),
        member=np.eye(batches)[gathered.batch],
        profiles=pooled.double().cpu().numpy()[:, alone],
        dispersion=parameters.dispersion.total.cpu().numpy()[alone],
        bounds=config.slopes,
        bins=config.bins,
        max_steps=config.max_steps,
        ridge=config.ridge,
        pseudo=config.pseudo,
    )
    bias, slope = np.zeros((2, genes))
    bias[alone], slope[alone] = fit.bias, fit.slope

    def tensor(values: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32).to(pooled.device)

    trend = Trend(tensor(bias), tensor(slope), tensor(fit.level), tensor(np.array(fit.range)))
    if not bool(trend.slope.any()) and not bool(trend.bias.any()):
        return DepthTrendFit(None, 0)
    return DepthTrendFit(trend, int((trend.slope != 0).sum()))
