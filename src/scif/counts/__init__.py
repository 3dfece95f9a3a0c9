"""The count method on arrays, without AnnData or scvi-tools.

:func:`fit_counts` takes counts and gives a :class:`FittedCounts`, whose ``denoise`` gives expected counts.
:class:`scif.model.ICM` is the same method for AnnData. Stages stand in ``scif.counts.recipe``, constants in
:class:`CountConfig`, and what a fit did in :class:`FitReport`.
"""

from __future__ import annotations

from scif.counts.config import CountConfig
from scif.counts.fitted import FittedCounts, fit_counts
from scif.counts.report import FitReport, StageRecord

__all__ = ["CountConfig", "FitReport", "FittedCounts", "StageRecord", "fit_counts"]
