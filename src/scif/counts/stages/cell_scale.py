"""Stage: how much cells differ in their dispersion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.config import CellScaleConfig
from scif.counts.data.batch import CountBatch
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.cell_scale import FINE, scale_posterior
from scif.counts.posterior.estimate import shared_evidence
from scif.counts.posterior.expectation import expectation
from scif.counts.posterior.parameters import CellScale, Parameters
from scif.parallel import spread

__all__ = ["CellScaleFit", "fit_cell_scale", "learn_scales"]


@dataclass(frozen=True)
class CellScaleFit:
    """Distribution of the cells' scales, and how it was found.

    Attributes
    ----------
    scale
        The distribution; None with too few cells.
    rounds
        Rounds of EM.
    objective
        Spread of the binary logarithms after each round.
    converged
        Whether it changed by less than the tolerance in the last round.
    """

    scale: CellScale | None
    rounds: int = 0
    objective: tuple[float, ...] = ()
    converged: bool = True

    @property
    def decision(self) -> str:
        """The decision, in a few words."""
        return "too few cells" if self.scale is None else f"spread {self.scale.spread:.2f} (log2)"


@torch.no_grad()
def fit_cell_scale(
    network: CountNetwork, parameters: Parameters, cells: CellSample, config: CellScaleConfig
) -> CellScaleFit:
    """Learn how the dispersion scales of cells are distributed, by expectation maximisation.

    Genes that pass the test of shared variance inform them.
    """

    def evidence_of(batch: CountBatch) -> Tensor:
        expected = expectation(network, parameters, batch, scale="counts").at_depth
        return shared_evidence(parameters, batch.x, expected)

    evidence = torch.cat(list(spread(evidence_of, cells, on=cells.device)), 1)
    return learn_scales(evidence, config)


def learn_scales(evidence: Tensor, config: CellScaleConfig) -> CellScaleFit:
    """Fit the distribution to log-likelihoods of scales, ``(5, cells)``."""
    if evidence.shape[1] < config.fewest_cells:
        return CellScaleFit(None)
    grid = torch.from_numpy(FINE).to(evidence)
    scale, spreads, converged = CellScale(0.0, 0.5), [], False
    for _ in range(config.max_rounds):
        probability = scale_posterior(scale, evidence)
        mean = grid @ probability
        variance = grid.square() @ probability - mean.square()
        width = (mean.var(correction=0) + variance.mean()).clamp_min(0.0).sqrt()  # rounding may go below
        better = CellScale(float(mean.mean()), float(width))
        moved = max(abs(better.centre - scale.centre), abs(better.spread - scale.spread))
        scale = better
        spreads.append(scale.spread)
        if moved < config.tolerance:
            converged = True
            break
    return CellScaleFit(scale, len(spreads), tuple(spreads), converged)
