"""Inverse flow for any noise channel, on torch alone: channels, paths, schedules, objectives, solvers."""

from __future__ import annotations

import importlib
from typing import Any

from scif.core.consistency import ConsistencyFunction
from scif.core.coupling import (
    ChannelCoupling,
    Coupled,
    Coupling,
    GibbsKernel,
    Independent,
    MinibatchOT,
    NearestNoise,
    Reflow,
)
from scif.core.distance import Distance, PoissonDeviance, PseudoHuber, SquaredError
from scif.core.domain import Domain
from scif.core.path import (
    Affine,
    Coefficients,
    Linear,
    Path,
    PathPair,
    PathSample,
    SDETrajectory,
    StochasticInterpolant,
    VarianceExploding,
    VariancePreserving,
)
from scif.core.scaling import Scaling
from scif.core.schedule import (
    GrowingSteps,
    Interval,
    Karras,
    KineticOptimal,
    Schedule,
    Uniform,
    UserGrid,
    draw_interval,
    fit_grid,
    loss_weight,
)
from scif.core.solver import Solution, solve
from scif.core.theory import linear_gaussian_slope, linear_gaussian_survival
from scif.core.velocity import Velocity, velocity_from_x0, x0_from_velocity

_SUBPACKAGES = ("noise", "objective", "estimator", "monitor", "engine")


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for subpackage in _SUBPACKAGES:
            try:
                module = importlib.import_module(f"scif.core.{subpackage}")
            except ModuleNotFoundError:
                continue
            if name in getattr(module, "__all__", ()):
                return getattr(module, name)
    msg = f"module 'scif.core' has no attribute {name!r}."
    raise AttributeError(msg)
