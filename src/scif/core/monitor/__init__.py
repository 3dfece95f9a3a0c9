"""Monitors: what can be judged without ground truth, each with a verdict in words."""

from __future__ import annotations

from scif.core.monitor.calibration import Calibration, calibration, pit
from scif.core.monitor.collapse import Collapse, CollapseWarning, collapse
from scif.core.monitor.marginal import Marginal, marginal, sliced_wasserstein
from scif.core.monitor.residual import Residual, residual

__all__ = [
    "Calibration",
    "Collapse",
    "CollapseWarning",
    "Marginal",
    "Residual",
    "calibration",
    "collapse",
    "marginal",
    "pit",
    "residual",
    "sliced_wasserstein",
]
