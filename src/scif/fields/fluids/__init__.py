"""Fluid fields: a spectral Navier-Stokes solver, the channel it makes, and its inversion from final fields alone."""

from __future__ import annotations

from scif.fields.fluids.baselines import backward_integration
from scif.fields.fluids.cases import FlowCase, FlowPairs, laminar, turbulent
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.forcing import Wave, kolmogorov
from scif.fields.fluids.grid import SpectralGrid
from scif.fields.fluids.initial import matern_spectrum, mcwilliams_spectrum, random_vorticity, taylor_green
from scif.fields.fluids.inverter import FluidInverter
from scif.fields.fluids.march import UnstableStep
from scif.fields.fluids.metrics import (
    Spectra,
    divergence,
    energy,
    enstrophy,
    palinstrophy,
    relative_l2,
    spectra,
    spectrum_error,
    velocity,
    vorticity,
    vorticity_correlation,
)
from scif.fields.fluids.operators import FlowConsistency, FlowVelocity
from scif.fields.fluids.path import FlowPath
from scif.fields.fluids.solver import NavierStokes2D
from scif.fields.fluids.symmetry import random_symmetries, symmetry

__all__ = [
    "FlowCase",
    "FlowConsistency",
    "FlowPairs",
    "FlowPath",
    "FlowVelocity",
    "FluidInverter",
    "NavierStokes2D",
    "NavierStokesChannel",
    "Spectra",
    "SpectralGrid",
    "UnstableStep",
    "Wave",
    "backward_integration",
    "divergence",
    "energy",
    "enstrophy",
    "kolmogorov",
    "laminar",
    "matern_spectrum",
    "mcwilliams_spectrum",
    "palinstrophy",
    "random_symmetries",
    "random_vorticity",
    "relative_l2",
    "spectra",
    "spectrum_error",
    "symmetry",
    "taylor_green",
    "turbulent",
    "velocity",
    "vorticity",
    "vorticity_correlation",
]
