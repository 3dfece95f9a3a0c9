"""Stage: the dispersion of each gene around what genes share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scif.core.noise import NegativeBinomial
from scif.counts.config import DispersionConfig
from scif.counts.data.batch import CountBatch
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sample import CellSample
from scif.counts.data.sparse_counts import Thinned
from scif.counts.network import CountNetwork
from scif.counts.posterior.estimate import scales
from scif.counts.posterior.expectation import at_depth, composition
from scif.counts.posterior.parameters import MAX_SHAPE, Dispersion, Parameters
from scif.counts.statistics.shape_grid import GRID, posterior_shapes
from scif.counts.statistics.technical import divided
from scif.parallel import spread

__all__ = ["fit_dispersion", "moment_dispersion", "passes"]


def passes(cells: CellSample, config: DispersionConfig) -> int:
    """How often to go through a sample: more often if it is small, since each pass hides other molecules."""
    entries = len(cells) * cells.dataset.num_genes
    return min(max(config.many_entries // entries, 1), config.most_passes)


@torch.no_grad()
def fit_dispersion(
    network: CountNetwork,
    parameters: Parameters,
    cells: CellSample,
    config: DispersionConfig,
    *,
    technical: Tensor | float,
    generator: torch.Generator,
    times: int = 1,
) -> Dispersion:
    """Estimate each gene's dispersion by predicting some molecules from the others.

    The likelihood of the hidden molecules is evaluated on a grid of gamma shapes. A gene's dispersion is its posterior
    mean under a prior that genes of similar expression share. Hidden and visible molecules of a cell share technical
    dispersion, so that thinning measures the total; the technical part is divided out afterwards. With scales of the
    cells it is the shape in a cell of scale one; the visible molecules give each cell's scale.

    Parameters
    ----------
    network, parameters
        The trained model.
    cells
        Cells.
    config
        Constants.
    technical
        Technical inverse dispersion, one number or ``(genes,)``.
    generator
        Source of randomness.
    times
        Passes over the cells.
    """
    loss = torch.zeros(len(GRID), network.num_genes, dtype=torch.float64)
    expression = torch.zeros(network.num_genes, dtype=torch.float64)

    sharing = parameters.credibility
    scaled = torch.ones_like(network.bias, dtype=torch.bool) if sharing is None else sharing > 0

    def thinned() -> Iterator[tuple[CountBatch, Thinned]]:
        """Draw in the order of the cells."""
        for _ in range(times):
            for batch in cells:
                kept = torch.full((batch.x.num_cells,), 1.0 - config.hidden, device=batch.x.device)
                yield batch, batch.x.thin(kept, generator=generator)

    def losses_of(given: tuple[CountBatch, Thinned]) -> tuple[Tensor, Tensor]:
        batch, parts = given
        visible = CountBatch(parts.a, batch.batch, batch.ratio)
        seen, hidden = parts.a.totals().clamp_min(1e-6), parts.b.totals()
        mu = seen[:, None] * composition(network, parameters, visible)
        scale = scales(parameters, parts.a, at_depth(parameters, mu, visible))
        expected = mu.sum(0).cpu()
        # both parts store the same entries
        rate, rows, columns, values = hidden / seen, parts.a.rows, parts.a.columns, parts.a.values
        inverse, share = mu.clamp_min(1e-20).reciprocal_().mul_(torch.where(scaled, scale[:, None], 1.0)), mu
        rates, scale_at = torch.stack([rate, rate * scale]), torch.where(scaled[columns], scale[rows], 1.0)
        inverse_at, of_genes = inverse[rows, columns], EntrySums(rows, columns, mu.shape, axis=0)
        losses = []
        for shape in GRID.tolist():
            # the posterior mean is mu (visible + s shape) / (mu + s shape) = share (visible + s shape)
            torch.mul(inverse, shape, out=share).add_(1.0).reciprocal_()
            at_entries = (inverse_at * shape).add_(1.0).reciprocal_()
            log_mean = (at_entries * (values + shape * scale_at)).clamp_min(1e-12).log()
            alike, unlike = rates @ share
            expected_loss = shape * torch.where(scaled, unlike, alike)
            losses.append(expected_loss + of_genes(at_entries * values * rate[rows] - parts.b.values * log_mean))
        return torch.stack(losses).cpu(), expected

    for some, expected in spread(losses_of, thinned(), on=cells.device):
        loss += some
        expression += expected
    shapes = posterior_shapes(loss / times, expression, rounds=config.rounds)
    return divided(shapes, technical, cells.device)


@torch.no_grad()
def moment_dispersion(
    network: CountNetwork, parameters: Parameters, cells: CellSample, *, technical: Tensor | float
) -> Dispersion:
    """Estimate each gene's dispersion by moments around the network's expectation; see :func:`fit_dispersion`."""
    expected, observed = [], []
    for batch in cells:
        expected.append(batch.x.totals()[:, None] * composition(network, parameters, batch))
        observed.append(batch.x.dense())
    x0 = torch.cat(expected).cpu()
    total = NegativeBinomial.fit(torch.cat(observed).cpu(), x0).inverse_dispersion
    return divided(total.clamp(float(GRID[0]), MAX_SHAPE), technical, cells.device)
