"""Denoising of microscopy and natural images that learns from the noisy images alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scif.fields.images._denoiser import ImageDenoiser
    from scif.fields.images._io import ImageFile, open_image
    from scif.fields.images._known_noise import calibrate_files, known_noise, read_noise, write_noise
    from scif.fields.images._one_image import denoise_image
    from scif.fields.images._outputs import output_paths
    from scif.fields.images._report import ImageReport
    from scif.fields.images._scores import SCORES, score_images
    from scif.fields.images.calibration import (
        Calibration,
        CorrelatedCalibration,
        GaussianCalibration,
        PoissonGaussianCalibration,
        calibrate,
        calibrate_correlated,
        calibrate_gaussian,
        calibrate_poisson_gaussian,
    )
    from scif.fields.images.metrics import RingCorrelation, affine_psnr, fourier_ring_correlation, psnr, ssim

_CALIBRATION = (
    "Calibration",
    "CorrelatedCalibration",
    "GaussianCalibration",
    "PoissonGaussianCalibration",
    "calibrate",
    "calibrate_correlated",
    "calibrate_gaussian",
    "calibrate_poisson_gaussian",
)
_METRICS = ("RingCorrelation", "affine_psnr", "fourier_ring_correlation", "psnr", "ssim")
_HOME = {
    "ImageDenoiser": "_denoiser",
    "ImageFile": "_io",
    "SCORES": "_scores",
    "calibrate_files": "_known_noise",
    "denoise_image": "_one_image",
    "known_noise": "_known_noise",
    "ImageReport": "_report",
    "open_image": "_io",
    "read_noise": "_known_noise",
    "score_images": "_scores",
    "write_noise": "_known_noise",
    "output_paths": "_outputs",
    **dict.fromkeys(_CALIBRATION, "calibration"),
    **dict.fromkeys(_METRICS, "metrics"),
}

__all__ = [
    "Calibration",
    "CorrelatedCalibration",
    "GaussianCalibration",
    "ImageDenoiser",
    "ImageFile",
    "ImageReport",
    "PoissonGaussianCalibration",
    "RingCorrelation",
    "SCORES",
    "affine_psnr",
    "calibrate",
    "calibrate_correlated",
    "calibrate_files",
    "calibrate_gaussian",
    "calibrate_poisson_gaussian",
    "denoise_image",
    "fourier_ring_correlation",
    "known_noise",
    "open_image",
    "output_paths",
    "psnr",
    "read_noise",
    "score_images",
    "ssim",
    "write_noise",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for: metrics and calibration need neither torch nor Lightning."""
    if name in _HOME:
        return getattr(importlib.import_module(f"scif.fields.images.{_HOME[name]}"), name)
    msg = f"module 'scif.fields.images' has no attribute {name!r}; it has {', '.join(__all__)}."
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
