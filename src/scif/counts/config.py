"""Constants of the count method: one frozen class per stage, with the unit and the reason of each constant.

Effects were measured in ``benchmarks/counts/tried.md``, as fractions of the gain in held-out likelihood over the pooled
profile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "CellScaleConfig",
    "CountConfig",
    "DepthTrendConfig",
    "DispersionConfig",
    "GeneTotalsConfig",
    "LatentPriorConfig",
    "LoadingsConfig",
    "NetworkConfig",
    "SharedGenesConfig",
    "StartConfig",
]


@dataclass(frozen=True)
class StartConfig:
    """Constants of the truncated SVD from which training starts."""

    cells: int = 10_000
    """Maximum number of cells for the SVD; more cells do not change the useful components."""
    widths: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Candidate numbers of components, about evenly spaced on a log scale."""
    pooled_share: float = 0.05
    """Fraction of the pooled profile mixed into a scored reconstruction, so that a clipped zero has a finite loss."""


@dataclass(frozen=True)
class NetworkConfig:
    """Constants of the training of the network."""

    steps: int = 450
    """Optimiser steps for up to :attr:`step_cells` cells; on all tested data sets the validation loss had converged."""
    step_cells: int = 4_000
    """Number of cells above which steps grow with the square root of this number, by at most one half."""
    small_batch: int = 128
    """Cells per minibatch if there are fewer than :attr:`many_cells` cells."""
    large_batch: int = 512
    """Cells per minibatch otherwise; fewer, larger steps cost less per cell."""
    many_cells: int = 8_000
    """Number of cells from which minibatches are large."""
    validations: int = 9
    """Validation checks during the whole training."""
    patience: int = 3
    """Checks without improvement before training stops."""
    lr: float = 8e-3
    """Largest learning rate."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    warmup_steps: int = 20
    """Steps over which the learning rate rises."""
    ema_decay: float = 0.98
    """Fraction of the averaged weights that a step keeps; this averages over 50 steps."""
    gradient_weight: float = 0.1
    """Weight of the published objective relative to the anchor; the best tested value."""
    gradient_clip: float = 1.0
    """Maximum norm of a gradient."""
    held_out_cells: int = 2_000
    """Maximum number of cells with held-out molecules."""
    held_out_entries: int = 10_000_000
    """Maximum number of entries (cells x genes) of these cells."""


@dataclass(frozen=True)
class SharedGenesConfig:
    """Constants of the score test of shared variance."""

    least: float = 1.0
    """Standard score that every gene must exceed."""
    sure: float = 2.0
    """Required standard score of a gene with gene-specific variation, so that shuffled genes stay uncorrelated with
    others."""
    own_share: float = 0.35
    """Fraction of gene-specific variation from which :attr:`sure` is required."""
    typical_part: float = 0.25
    """Required fraction of the score of genes with similar expression. Compositions sum to one, so a dominant gene
    affects all others a little."""


@dataclass(frozen=True)
class DepthTrendConfig:
    """Constants of the technical trend with depth, for genes that share no variance."""

    bins: int = 64
    """Number of bins of cells with similar depth."""
    max_steps: int = 8
    """Maximum number of Newton steps; three are usually enough."""
    ridge: float = 1.0
    """Precision of the normal prior of slopes."""
    pseudo: float = 1.0
    """Molecules added to observed and expected totals."""
    slopes: tuple[float, float] = (-1.0, 0.0)
    """Range of technical slopes, from equal counts at every depth to equal fractions. A growing fraction is
    biological."""


@dataclass(frozen=True)
class LoadingsConfig:
    """Constants of the posterior means of the loadings (0.5% of the gain)."""

    prior_rounds: int = 5
    """EM rounds for the prior of the loadings."""


@dataclass(frozen=True)
class LatentPriorConfig:
    """Constants of the mixture prior of the latent factors (0.4% of the gain, and the variances of transport)."""

    fewest_cells: int = 40
    """Minimum number of cells; with fewer the prior is more often wrong than useful."""
    rounds: int = 4
    """Rounds of factors and loadings; afterwards the objective changes by less than a thousandth."""
    first_mixture_rounds: int = 20
    """Maximum number of mixture rounds in the first round."""
    later_mixture_rounds: int = 10
    """Maximum number of mixture rounds in later rounds."""
    prior_rounds: int = 2
    """Rounds of the loadings' prior in each round, starting from the last result."""
    informed: tuple[float, float] = (0.2, 0.0)
    """Minimum information on a direction with prior variance one, in the first round and later. The network's loadings
    underestimate weak directions."""
    tolerance: float = 1e-2
    """Change of the mean log-likelihood per cell, in nats, below which EM has converged."""


@dataclass(frozen=True)
class DispersionConfig:
    """Constants of gene-specific variation, estimated by the prediction of thinned molecules."""

    few_entries: int = 3_000_000
    """Number of entries (cells x genes) for provisional estimates."""
    many_entries: int = 12_000_000
    """Number of entries for the final estimate."""
    most_passes: int = 8
    """Maximum number of passes over the cells; each pass hides other molecules."""
    hidden: float = 0.2
    """Fraction of the molecules that is predicted from the others."""
    rounds: int = 10
    """Rounds for the prior over shapes. Few rounds keep part of the broad initial prior, which predicts slightly
    better."""
    variance_rounds: int = 40
    """Rounds around drawn factors, where variance has to be kept."""


@dataclass(frozen=True)
class CellScaleConfig:
    """Constants of the dispersion scales of cells."""

    fewest_cells: int = 20
    """Minimum number of cells."""
    max_rounds: int = 200
    """Maximum number of rounds."""
    tolerance: float = 4e-3
    """Change of centre and spread, in log2 units, below which EM has converged."""


@dataclass(frozen=True)
class GeneTotalsConfig:
    """Constants of the totals of genes that share no variance."""

    pseudo: float = 1.0
    """Molecules added to the observed and the expected total."""
    most: float = 100.0
    """Maximum factor of an expectation."""


@dataclass(frozen=True)
class CountConfig:
    """Constants of all stages, one attribute per stage.

    Examples
    --------
    >>> from scif.counts import CountConfig, StartConfig
    >>> CountConfig(start=StartConfig(cells=5_000)).start.cells
    5000
    """

    start: StartConfig = field(default_factory=StartConfig)
    """Constants of the stage ``start``: first loadings and the number of factors."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Constants of the stage ``network``: training of the network."""
    shared_genes: SharedGenesConfig = field(default_factory=SharedGenesConfig)
    """Constants of the stage ``shared_genes``: shared-variance test."""
    depth_trend: DepthTrendConfig = field(default_factory=DepthTrendConfig)
    """Constants of the stage ``depth_trend``: technical trend with depth."""
    loadings: LoadingsConfig = field(default_factory=LoadingsConfig)
    """Constants of the stage ``loadings``: posterior means of the loadings."""
    latent_prior: LatentPriorConfig = field(default_factory=LatentPriorConfig)
    """Constants of the stage ``latent_prior``: mixture prior of the latent factors."""
    dispersion: DispersionConfig = field(default_factory=DispersionConfig)
    """Constants of the stage ``dispersion``: gene-specific variation."""
    cell_scale: CellScaleConfig = field(default_factory=CellScaleConfig)
    """Constants of the stage ``cell_scale``: dispersion scales of cells."""
    gene_totals: GeneTotalsConfig = field(default_factory=GeneTotalsConfig)
    """Constants of the stage ``gene_totals``: totals of genes."""
    monitor_cells: int = 512
    """Number of cells for the collapse monitor."""
    reference_entries: int = 12_000_000
    """Number of entries (cells x genes) of the cells for the dispersions."""
