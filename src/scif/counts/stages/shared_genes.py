"""Stage: which genes share variance with others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from scif.counts.config import SharedGenesConfig
from scif.counts.data.batch import CountBatch, GatheredCounts
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.expectation import profiles
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.parameters import Parameters
from scif.counts.statistics.large_genes import DEGREE
from scif.counts.statistics.score_test import evidence
from scif.parallel import spread

__all__ = ["SharedGenes", "fit_shared_genes"]


@dataclass(frozen=True)
class SharedGenes:
    """Result of the test of shared variance.

    Attributes
    ----------
    credibility
        One for genes that pass, zero for the others, ``(genes,)``.
    score
        Standard score of each gene, about N(0, 1) for one that shares nothing, ``(genes,)``.
    """

    credibility: Tensor
    score: Tensor

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        return f"{int(self.credibility.sum()):,} of {len(self.credibility):,} genes share variance"


@torch.no_grad()
def fit_shared_genes(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    gathered: GatheredCounts,
    config: SharedGenesConfig,
    *,
    rng: np.random.Generator,
) -> SharedGenes:
    """Test each gene for variance that it shares with others.

    A gene may fail for two reasons: it has too few molecules, or it varies without the others. A gene with
    gene-specific variation has had the molecules to show what it shares, so that more is asked of it
    (:class:`~scif.counts.config.SharedGenesConfig`). Variance along the library size alone is not shared variance.

    Parameters
    ----------
    network, parameters
        The trained network with provisional dispersions.
    cells
        Cells.
    gathered
        The same cells put together.
    config
        Thresholds.
    rng
        Halves the cells.
    """
    components = network.components.cpu().numpy()
    own = _own_share(network, parameters, cells).cpu().numpy()
    score = evidence(gathered.x, components, batch=gathered.batch, rng=rng)
    typical = _typical(score, np.asarray(gathered.x.sum(0)).ravel())
    passes = torch.from_numpy(score > threshold(own, typical, config))
    return SharedGenes(passes.to(network.bias), torch.from_numpy(score))


def threshold(own: np.ndarray, typical: np.ndarray, config: SharedGenesConfig) -> np.ndarray:
    """Score asked for, given the share of gene-specific variation and the score of similar genes, ``(genes,)``."""
    part = config.typical_part * typical
    return np.where(own > config.own_share, part.clip(config.sure), part.clip(config.least, config.sure))


def _typical(score: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Median score of the genes of similar expression, ``(genes,)``."""
    order = expression.argsort(kind="stable")
    typical = np.empty(len(order))
    typical[order] = median_filter(score[order], size=2 * max(50, len(order) // 40) + 1, mode="nearest")
    return typical


def _own_share(network: CountNetwork, parameters: Parameters, cells: CellSample) -> Tensor:
    """Share of gene-specific variation in the variance of denoised compositions, depth left out, ``(genes,)``."""
    own, shared = torch.zeros(2, network.num_genes, dtype=torch.float32, device=cells.device)
    product = own.new_zeros(DEGREE + 1, len(own))
    gram = own.new_zeros(DEGREE + 1, DEGREE + 1)
    dispersion, pooled = parameters.dispersion, profiles(network, parameters)

    def sums_of(batch: CountBatch) -> tuple[Tensor, ...]:
        totals, one = batch.x.totals(), torch.ones_like(batch.library)
        logits = network(batch.x, one, library=batch.library, batch=batch.batch)
        rho = torch.softmax(logits, 1).clamp_min_(1e-20)
        mu = totals[:, None] * rho
        share = signal_share(mu, dispersion.residual_shape, dispersion.technical)
        # gene-specific part of the denoised composition
        specific = (batch.x.dense() - mu).mul_(share).div_(totals[:, None]).square_().sum(0)
        common = rho - (pooled[0] if len(pooled) == 1 or batch.batch is None else pooled[batch.batch.reshape(-1)])
        depth = torch.vander((totals / network.depth).log(), DEGREE + 1)
        return depth.T @ common, depth.T @ depth, specific, common.square_().sum(0)

    sums = (product, gram, own, shared)
    for parts in spread(sums_of, cells, on=cells.device):
        for total, part in zip(sums, parts, strict=True):
            total += part
    ridge = 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    shared -= (product * torch.linalg.solve(gram + ridge, product)).sum(0)
    return own / (own + shared.clamp_min(0.0)).clamp_min(1e-30)
