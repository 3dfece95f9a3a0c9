"""Noise channels: how a clean signal turns into an observation."""

from __future__ import annotations

from scif.core.noise.base import Equivalent, NoDensity, NoiseModel, NotSplittable, Split
from scif.core.noise.binomial import Binomial
from scif.core.noise.compose import Compose
from scif.core.noise.correlated_gaussian import CorrelatedGaussian
from scif.core.noise.gamma import Gamma
from scif.core.noise.gaussian import Gaussian
from scif.core.noise.jacobi import Jacobi
from scif.core.noise.moments import Moments, QuadraticMoments, monte_carlo_moments
from scif.core.noise.multinomial import Multinomial
from scif.core.noise.negative_binomial import NegativeBinomial
from scif.core.noise.poisson import Poisson
from scif.core.noise.poisson_gaussian import PoissonGaussian
from scif.core.noise.rayleigh import Rayleigh
from scif.core.noise.registry import NOISE_CHANNELS, channel_name, find_channel, noise_channel, register_channel
from scif.core.noise.sde import SDEChannel
from scif.core.noise.simulator import Simulator
from scif.core.noise.stein import SteinKernel

__all__ = [
    "NOISE_CHANNELS",
    "Binomial",
    "Compose",
    "CorrelatedGaussian",
    "Equivalent",
    "Gamma",
    "Gaussian",
    "Jacobi",
    "Moments",
    "Multinomial",
    "NegativeBinomial",
    "NoDensity",
    "NoiseModel",
    "NotSplittable",
    "Poisson",
    "PoissonGaussian",
    "QuadraticMoments",
    "Rayleigh",
    "SDEChannel",
    "Simulator",
    "Split",
    "SteinKernel",
    "channel_name",
    "find_channel",
    "monte_carlo_moments",
    "noise_channel",
    "register_channel",
]
