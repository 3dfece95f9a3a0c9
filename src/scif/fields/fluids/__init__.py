"""Fluid fields: a spectral Navier-Stokes solver, its channel, and the inversion of flows from final fields alone."""

from __future__ import annotations

from scif.fields.fluids.baselines import backward_integration
from scif.fields.fluids.boundary import broken_axes, window
from scif.fields.fluids.cases import FlowCase, FlowPairs, laminar, turbulent
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.forcing import Wave, kolmogorov
from scif.fields.fluids.grid import SpectralGrid
from scif.fields.fluids.initial import matern_spectrum, mcwilliams_spectrum, random_vorticity, taylor_green
from scif.fields.fluids.inverter import FluidInverter
from scif.fields.fluids.labelled import read_fields, write_fields
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
from scif.fields.fluids.observe import Coarse, Gaps, Masked, Observation, Velocities, fill_gaps
from scif.fields.fluids.operators import FlowConsistency, FlowVelocity
from scif.fields.fluids.path import FlowPath
from scif.fields.fluids.posterior import SpreadModel
from scif.fields.fluids.smoother import ensemble_smoother
from scif.fields.fluids.solver import NavierStokes2D
from scif.fields.fluids.symmetry import random_symmetries, symmetry
from scif.fields.fluids.variational import four_d_var

__all__ = [
    "Coarse",
    "FlowCase",
    "FlowConsistency",
    "FlowPairs",
    "FlowPath",
    "FlowVelocity",
    "FluidInverter",
    "Gaps",
    "Masked",
    "NavierStokes2D",
    "NavierStokesChannel",
    "Observation",
    "Spectra",
    "SpectralGrid",
    "SpreadModel",
    "UnstableStep",
    "Velocities",
    "Wave",
    "backward_integration",
    "broken_axes",
    "divergence",
    "energy",
    "ensemble_smoother",
    "enstrophy",
    "fill_gaps",
    "four_d_var",
    "kolmogorov",
    "laminar",
    "matern_spectrum",
    "mcwilliams_spectrum",
    "palinstrophy",
    "random_symmetries",
    "random_vorticity",
    "read_fields",
    "relative_l2",
    "spectra",
    "spectrum_error",
    "symmetry",
    "taylor_green",
    "turbulent",
    "velocity",
    "vorticity",
    "vorticity_correlation",
    "window",
    "write_fields",
]
