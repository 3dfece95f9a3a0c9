"""Time grids, how to draw times from them, and how to choose them."""

from __future__ import annotations

from scif.core.schedule.base import Schedule
from scif.core.schedule.fit import fit_grid
from scif.core.schedule.growing import GrowingSteps
from scif.core.schedule.interval import Interval, draw_interval, loss_weight
from scif.core.schedule.karras import Karras
from scif.core.schedule.kinetic import KineticOptimal
from scif.core.schedule.uniform import Uniform
from scif.core.schedule.user import UserGrid

__all__ = [
    "GrowingSteps",
    "Interval",
    "Karras",
    "KineticOptimal",
    "Schedule",
    "Uniform",
    "UserGrid",
    "draw_interval",
    "fit_grid",
    "loss_weight",
]
