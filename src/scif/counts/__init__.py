"""The count method on arrays, without AnnData or scvi-tools.

:func:`fit_counts` takes counts and returns a :class:`FittedCounts`, whose ``denoise`` returns expected counts.
:class:`scif.model.ICM` is the same method for AnnData. ``scif.counts.recipe`` runs the stages, :class:`CountConfig`
holds their constants, and :class:`FitReport` records what a fit did.
"""

from __future__ import annotations

from scif.counts.config import (
    CellScaleConfig,
    CountConfig,
    DepthTrendConfig,
    DispersionConfig,
    GeneTotalsConfig,
    LatentPriorConfig,
    LoadingsConfig,
    NetworkConfig,
    SharedGenesConfig,
    StartConfig,
)
from scif.counts.fitted import FittedCounts, fit_counts
from scif.counts.report import FitReport, StageRecord

__all__ = [
    "CellScaleConfig",
    "CountConfig",
    "DepthTrendConfig",
    "DispersionConfig",
    "FitReport",
    "FittedCounts",
    "GeneTotalsConfig",
    "LatentPriorConfig",
    "LoadingsConfig",
    "NetworkConfig",
    "SharedGenesConfig",
    "StageRecord",
    "StartConfig",
    "fit_counts",
]
