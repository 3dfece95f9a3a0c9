"""Measuring the noise of images: its kind and its parameters, each with a plot."""

from __future__ import annotations

from scif.fields.images.calibration.auto import Calibration, calibrate
from scif.fields.images.calibration.correlated import CorrelatedCalibration, calibrate_correlated
from scif.fields.images.calibration.gaussian import GaussianCalibration, calibrate_gaussian
from scif.fields.images.calibration.poisson_gaussian import PoissonGaussianCalibration, calibrate_poisson_gaussian

__all__ = [
    "Calibration",
    "CorrelatedCalibration",
    "GaussianCalibration",
    "PoissonGaussianCalibration",
    "calibrate",
    "calibrate_correlated",
    "calibrate_gaussian",
    "calibrate_poisson_gaussian",
]
