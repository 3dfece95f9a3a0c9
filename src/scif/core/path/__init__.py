"""Conditional trajectories between clean and observed signals."""

from __future__ import annotations

from scif.core.path.affine import Affine, Coefficients
from scif.core.path.base import Path, PathPair, PathSample
from scif.core.path.diffusion import VarianceExploding, VariancePreserving
from scif.core.path.interpolant import StochasticInterpolant
from scif.core.path.linear import Linear
from scif.core.path.sde import SDETrajectory

__all__ = [
    "Affine",
    "Coefficients",
    "Linear",
    "Path",
    "PathPair",
    "PathSample",
    "SDETrajectory",
    "StochasticInterpolant",
    "VarianceExploding",
    "VariancePreserving",
]
