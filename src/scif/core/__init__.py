"""Inverse flow for any noise channel: channels, paths, schedules, objectives and estimators, on torch alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
from scif.core.ema import ExponentialAverage
from scif.core.estimator import Estimate, PosteriorHead, mean, sample, transport
from scif.core.monitor import (
    Calibration,
    Collapse,
    CollapseWarning,
    Marginal,
    Residual,
    calibration,
    collapse,
    marginal,
    pit,
    residual,
    sliced_wasserstein,
)
from scif.core.muon import MuonAdamW
from scif.core.noise import (
    NOISE_CHANNELS,
    Binomial,
    Compose,
    CorrelatedGaussian,
    Equivalent,
    Gamma,
    Gaussian,
    Jacobi,
    Moments,
    Multinomial,
    NegativeBinomial,
    NoDensity,
    NoiseModel,
    NotSplittable,
    Poisson,
    PoissonGaussian,
    QuadraticMoments,
    Rayleigh,
    SDEChannel,
    Simulator,
    Split,
    monte_carlo_moments,
    noise_channel,
    register_channel,
)
from scif.core.objective import (
    GCT,
    Anchor,
    CleanEstimates,
    Denoise,
    FlowMatching,
    Inverse,
    InverseConsistency,
    InverseFlowMatching,
    LossOutput,
    Objective,
    Posterior,
    SumObjective,
    TrajectoryObjective,
)
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

if TYPE_CHECKING:
    from scif.core.engine import Batches, Engine, NonFiniteLoss, Unpacked, fit

__all__ = [
    "Affine",
    "Anchor",
    "Batches",
    "Binomial",
    "Calibration",
    "ChannelCoupling",
    "CleanEstimates",
    "Coefficients",
    "Collapse",
    "CollapseWarning",
    "Compose",
    "ConsistencyFunction",
    "CorrelatedGaussian",
    "Coupled",
    "Coupling",
    "Denoise",
    "Distance",
    "Domain",
    "Engine",
    "Equivalent",
    "Estimate",
    "ExponentialAverage",
    "FlowMatching",
    "GCT",
    "Gamma",
    "Gaussian",
    "GibbsKernel",
    "GrowingSteps",
    "Independent",
    "Interval",
    "Inverse",
    "InverseConsistency",
    "InverseFlowMatching",
    "Jacobi",
    "Karras",
    "KineticOptimal",
    "Linear",
    "LossOutput",
    "Marginal",
    "MinibatchOT",
    "Moments",
    "Multinomial",
    "MuonAdamW",
    "NOISE_CHANNELS",
    "NearestNoise",
    "NegativeBinomial",
    "NoDensity",
    "NoiseModel",
    "NonFiniteLoss",
    "NotSplittable",
    "Objective",
    "Path",
    "PathPair",
    "PathSample",
    "Poisson",
    "PoissonDeviance",
    "PoissonGaussian",
    "Posterior",
    "PosteriorHead",
    "PseudoHuber",
    "QuadraticMoments",
    "Rayleigh",
    "Reflow",
    "Residual",
    "SDEChannel",
    "SDETrajectory",
    "Scaling",
    "Schedule",
    "Simulator",
    "Solution",
    "Split",
    "SquaredError",
    "StochasticInterpolant",
    "SumObjective",
    "TrajectoryObjective",
    "Uniform",
    "Unpacked",
    "UserGrid",
    "VarianceExploding",
    "VariancePreserving",
    "Velocity",
    "calibration",
    "collapse",
    "draw_interval",
    "fit",
    "fit_grid",
    "linear_gaussian_slope",
    "linear_gaussian_survival",
    "loss_weight",
    "marginal",
    "mean",
    "monte_carlo_moments",
    "noise_channel",
    "pit",
    "register_channel",
    "residual",
    "sample",
    "sliced_wasserstein",
    "solve",
    "transport",
    "velocity_from_x0",
    "x0_from_velocity",
]

_ENGINE = frozenset(["Batches", "Engine", "NonFiniteLoss", "Unpacked", "fit"])


def __getattr__(name: str) -> Any:
    """Import the training engine on first use: nobody pays for Lightning before training."""
    if name in _ENGINE:
        return getattr(importlib.import_module("scif.core.engine"), name)
    msg = f"module 'scif.core' has no attribute {name!r}."
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
