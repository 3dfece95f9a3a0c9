"""Expected counts given the counts of a cell: what genes share, and gene-specific variation by conjugacy."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.counts.data.batch import CountBatch
from scif.counts.data.sparse_counts import SparseCounts, dense_counts, library_sizes
from scif.counts.network import CountNetwork
from scif.counts.posterior.cell_scale import cell_scales, scale_evidence
from scif.counts.posterior.expectation import Kind, at_depth, composition
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.outliers import find_outliers
from scif.counts.posterior.parameters import MAX_SHAPE, Parameters

__all__ = ["combine", "estimate", "gene_shapes", "scales"]

#: Least and greatest factor on expected counts that brings a cell to its library size.
FILL = (0.05, 20.0)
#: Molecules' worth of prior knowledge that this factor is one: it stays within a tenth unless counts say otherwise.
LEVEL = 100.0


def estimate(
    network: CountNetwork,
    parameters: Parameters,
    cells: CountBatch,
    *,
    target: Tensor | None = None,
    kind: Kind = "mean",
) -> Tensor:
    r"""Expected counts ``(cells, genes)``, whose sums are the library sizes.

    With the expectation :math:`\mu` and the share of signal :math:`k`, the posterior mean is
    :math:`\mu + k (x - \mu)`; ``kind="transport"`` is :math:`\mu + \sqrt k (x - \mu)`, whose variance is that of the
    signal.

    Parameters
    ----------
    network, parameters
        The fitted model.
    cells
        Counts.
    target
        Batch codes ``(cells,)`` to express the result in; the cells' own if not given.
    kind
        Posterior mean, or its distribution-keeping counterpart.
    """
    size = cells.library[:, None]
    mu = size * composition(network, parameters, cells, kind=kind)
    moved = mu if target is None else in_batch(network, mu, cells, target)
    expected = at_depth(parameters, mu, cells)
    shape = parameters.spread if kind == "transport" else gene_shapes(parameters, cells.x, expected)
    return combine(
        cells.x, mu, parameters, expected=expected, moved=moved, shape=shape, library=cells.library, kind=kind
    )


def in_batch(network: CountNetwork, mu: Tensor, cells: CountBatch, target: Tensor) -> Tensor:
    """Expected counts as in another batch, with the same sums, ``(cells, genes)``."""
    own, other = (network.offset(codes, mu) for codes in (cells.batch, target))
    if own is None or other is None:
        return mu
    moved = mu * torch.exp(other - own)
    return moved * (mu.sum(1) / moved.sum(1).clamp_min(1e-12))[:, None]


def combine(
    x: SparseCounts | Tensor,
    mu: Tensor,
    parameters: Parameters,
    *,
    expected: Tensor,
    moved: Tensor,
    shape: Tensor,
    library: Tensor,
    noise: Tensor | None = None,
    kind: Kind = "mean",
) -> Tensor:
    """Bring expectation and counts together, gene by gene, at the library sizes.

    Parameters
    ----------
    x
        Counts, or points of a path towards them, ``(cells, genes)``.
    mu, expected, moved
        Expected counts: depth-corrected, at depth, and in the target batch, ``(cells, genes)``.
    parameters
        The fitted model.
    shape
        Gamma shapes of gene-specific variation, ``(genes,)`` or ``(cells, genes)``.
    library
        Library sizes ``(cells,)``.
    noise
        Variance of the noise as a share of that of counts, ``(cells,)``; one if not given.
    kind
        As for :func:`estimate`.
    """
    technical = parameters.dispersion.technical
    share = signal_share(expected, shape, technical, noise=1.0 if noise is None else noise[:, None])
    if kind == "transport":
        share = share.sqrt()
    ratio = None if moved is expected else moved / expected.clamp_min(1e-20)
    if parameters.residual:
        outliers = find_outliers(x, expected, shape, noise=noise, inverse_dispersion=technical)
        share = outliers.into(share, outliers.share)
        if ratio is not None:  # the technical trend was fitted to other counts
            ratio = outliers.into(ratio, (moved / mu.clamp_min(1e-20))[outliers.rows, outliers.columns])
    kept = dense_counts(x) * share
    if ratio is not None:
        kept *= ratio
    return _rescaled(kept, moved, share, library=library, varying=parameters.sharing)


def scales(parameters: Parameters, x: SparseCounts | Tensor, expected: Tensor) -> Tensor:
    """Dispersion scale of each cell ``(cells,)``, given counts and their expectations at depth ``(cells, genes)``.

    Only genes that pass the test of shared variance inform it.
    """
    if parameters.cell_scale is None:
        return torch.ones_like(library_sizes(x))
    return cell_scales(parameters.cell_scale, shared_evidence(parameters, x, expected)).to(expected)


def shared_evidence(parameters: Parameters, x: SparseCounts | Tensor, expected: Tensor) -> Tensor:
    """Evidence ``(5, cells)`` for the cells' scales from the genes that pass the test of shared variance."""
    totals = library_sizes(x)
    expected = expected * (totals / expected.sum(1).clamp_min(1e-12))[:, None]
    dispersion, credibility = parameters.dispersion, parameters.credibility
    shape = dispersion.residual_shape
    shape = shape if credibility is None else torch.where(credibility > 0, shape, MAX_SHAPE)
    return scale_evidence(x, expected, shape, inverse_dispersion=dispersion.technical)


def gene_shapes(parameters: Parameters, x: SparseCounts | Tensor, expected: Tensor) -> Tensor:
    """Gamma shapes of gene-specific variation with the cells' scales: ``(genes,)`` or ``(cells, genes)``."""
    own = parameters.own(parameters.dispersion.residual_shape)
    if parameters.cell_scale is None or not parameters.residual:
        return own
    factors = scales(parameters, x, expected)[:, None]
    return own * (factors if parameters.credibility is None else torch.where(parameters.credibility > 0, factors, 1.0))


def _rescaled(kept: Tensor, mu: Tensor, share: Tensor, *, library: Tensor, varying: Tensor | None) -> Tensor:
    """Add ``(1 - share) mu`` to the kept part of the counts and rescale to the library size.

    Genes that share no variance keep their expectation. The others take what is left, so that a gene whose estimate
    comes from its own counts takes nothing from the rest.
    """
    expected = torch.addcmul(mu, mu, share, value=-1.0)
    have, total = kept.sum(1), expected.sum(1)
    free = total if varying is None else expected @ varying
    room = library - (total - free)
    scale = ((room - have + LEVEL) / (free + LEVEL)).clamp(*FILL)
    level = (room / (have + scale * free).clamp_min(1e-12))[:, None]
    scale = scale[:, None] * level
    factor = scale if varying is None else torch.where(varying > 0, scale, 1.0)
    return kept.mul_(level).addcmul_(expected, factor)
