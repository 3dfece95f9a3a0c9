"""Integrating a velocity in time."""

from __future__ import annotations

from scif.core.solver.solve import Solution, solve

__all__ = ["Solution", "solve"]
