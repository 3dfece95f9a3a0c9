"""Constants of the count method: one frozen class a stage, each constant with its unit and its reason.

Measured effects are those of ``benchmarks/counts/tried.md``: a share of the gain in held-out likelihood over the pooled
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
    """Truncated SVD from which training starts."""

    cells: int = 10_000
    """Cells of which the SVD is made: more change no component of use."""
    widths: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Numbers of components to choose from, about evenly spaced in their logarithm."""
    pooled_share: float = 0.05
    """Share of the pooled profile in a judged reconstruction: a clipped zero costs much, not everything."""


@dataclass(frozen=True)
class NetworkConfig:
    """Stochastic training of the network."""

    steps: int = 450
    """Optimiser steps for up to :attr:`step_cells` cells: validation has stopped falling on all sets tried."""
    step_cells: int = 4_000
    """Cells from which on steps grow with the root of their number, by half at the most."""
    small_batch: int = 128
    """Cells a minibatch below :attr:`many_cells` cells."""
    large_batch: int = 512
    """Cells a minibatch from :attr:`many_cells` cells on: fewer, larger steps cost less per cell."""
    many_cells: int = 8_000
    """Cells from which on minibatches are large."""
    validations: int = 9
    """Validation checks of a whole training."""
    patience: int = 3
    """Checks in vain before training stops."""
    lr: float = 8e-3
    """Largest learning rate."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    warmup_steps: int = 20
    """Steps over which the learning rate rises."""
    ema_decay: float = 0.98
    """Share of the averaged weights that a step keeps: an average over 50 steps."""
    gradient_weight: float = 0.1
    """Weight of the published objective beside the anchor: the best of those tried."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient."""
    held_out_cells: int = 2_000
    """Most cells of which molecules are held out."""
    held_out_entries: int = 10_000_000
    """Most entries (cells x genes) of these cells."""


@dataclass(frozen=True)
class SharedGenesConfig:
    """Score test of shared variance."""

    least: float = 1.0
    """Standard score that every gene must reach."""
    sure: float = 2.0
    """The same for a gene with gene-specific variation: shuffled genes then stay uncorrelated with others."""
    own_share: float = 0.35
    """Share of gene-specific variation from which on :attr:`sure` is asked for."""
    typical_part: float = 0.25
    """Part of the score of genes of similar expression that is asked for: compositions are closed, so that a little of
    a dominant gene is in all others."""


@dataclass(frozen=True)
class DepthTrendConfig:
    """Technical trend with depth of genes that share no variance."""

    bins: int = 64
    """Bins of cells of similar depth."""
    max_steps: int = 8
    """Newton steps; three are enough as a rule."""
    ridge: float = 1.0
    """Precision of the normal prior of slopes."""
    pseudo: float = 1.0
    """Molecules added to observed and expected totals."""
    slopes: tuple[float, float] = (-1.0, 0.0)
    """Technical slopes: from equal counts at every depth to equal shares. A share that grows is biology."""


@dataclass(frozen=True)
class LoadingsConfig:
    """Loadings as posterior means (0.5% of the gain)."""

    prior_rounds: int = 5
    """Rounds of EM of the loadings' prior."""


@dataclass(frozen=True)
class LatentPriorConfig:
    """Mixture prior of the latent factors by EM (0.4% of the gain, and the variances of transport)."""

    fewest_cells: int = 40
    """Cells at the least: of fewer the prior is more often wrong than useful."""
    rounds: int = 4
    """Rounds of factors and loadings; the objective changes by less than a thousandth after."""
    first_mixture_rounds: int = 20
    """Most rounds of the mixture in the first of them."""
    later_mixture_rounds: int = 10
    """Most rounds of the mixture in the later ones."""
    prior_rounds: int = 2
    """Rounds of the loadings' prior in each: it starts from the last."""
    informed: tuple[float, float] = (0.2, 0.0)
    """Least information on a direction of prior variance one, in the first round and later: the network's loadings
    underrate weak directions."""
    tolerance: float = 1e-2
    """Change of the mean log-likelihood of a cell, in nats, at which EM has converged."""


@dataclass(frozen=True)
class DispersionConfig:
    """Gene-specific variation by prediction of thinned molecules."""

    few_entries: int = 3_000_000
    """Entries (cells x genes) that are enough for provisional estimates."""
    many_entries: int = 12_000_000
    """Entries of the last estimate."""
    most_passes: int = 8
    """Most passes over the cells; each hides other molecules."""
    hidden: float = 0.2
    """Share of the molecules that is predicted from the others."""
    rounds: int = 10
    """Rounds of the prior over shapes. Few keep some of the broad start, which predicts a little better."""
    variance_rounds: int = 40
    """The same around drawn factors, where variance is to be kept."""


@dataclass(frozen=True)
class CellScaleConfig:
    """Dispersion scales of cells by EM."""

    fewest_cells: int = 20
    """Cells at the least."""
    max_rounds: int = 200
    """Most rounds."""
    tolerance: float = 4e-3
    """Change of centre and spread, in binary logarithms, at which EM has converged."""


@dataclass(frozen=True)
class GeneTotalsConfig:
    """Totals of genes that share no variance."""

    pseudo: float = 1.0
    """Molecules added to both totals."""
    most: float = 100.0
    """Largest factor on an expectation."""


@dataclass(frozen=True)
class CountConfig:
    """Constants of all stages.

    Examples
    --------
    >>> from scif.counts import CountConfig
    >>> from scif.counts.config import StartConfig
    >>> CountConfig(start=StartConfig(cells=5_000)).start.cells
    5000
    """

    start: StartConfig = field(default_factory=StartConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    shared_genes: SharedGenesConfig = field(default_factory=SharedGenesConfig)
    depth_trend: DepthTrendConfig = field(default_factory=DepthTrendConfig)
    loadings: LoadingsConfig = field(default_factory=LoadingsConfig)
    latent_prior: LatentPriorConfig = field(default_factory=LatentPriorConfig)
    dispersion: DispersionConfig = field(default_factory=DispersionConfig)
    cell_scale: CellScaleConfig = field(default_factory=CellScaleConfig)
    gene_totals: GeneTotalsConfig = field(default_factory=GeneTotalsConfig)
    monitor_cells: int = 512
    """Cells on which collapse is judged."""
    reference_entries: int = 12_000_000
    """Entries (cells x genes) of the cells of which dispersions are estimated."""
