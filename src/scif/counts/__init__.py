"""The count method on arrays, without AnnData or scvi-tools.

:func:`fit_counts` takes counts and returns a :class:`FittedCounts`, whose ``denoise`` returns expected counts.
:class:`scif.model.ICM` is the same method for AnnData. ``scif.counts.recipe`` runs the stages, :class:`CountConfig`
holds their constants, and :class:`FitReport` records what a fit did.
"""

from __future__ import annotations

from scif.counts.config import CountConfig
from scif.counts.fitted import FittedCounts, fit_counts
from scif.counts.report import FitReport, StageRecord

__all__ = ["CountConfig", "FitReport", "FittedCounts", "StageRecord", "fit_counts"]
