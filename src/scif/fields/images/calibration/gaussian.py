"""The standard deviation of white Gaussian noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scif._extras import require
from scif.fields.images._plot import new_axes
from scif.fields.images.calibration._details import details as finest
from scif.fields.images.calibration._details import noise_power
from scif.fields.images.calibration._planes import as_planes

__all__ = ["GaussianCalibration", "calibrate_gaussian"]


@dataclass(frozen=True)
class GaussianCalibration:
    """Standard deviation ``sigma`` in the units of the image; ``details`` are the wavelet coefficients behind it."""

    sigma: float
    details: NDArray[np.float32] = field(repr=False)

    def __str__(self) -> str:
        return f"Gaussian noise: sigma {self.sigma:.4g}"

    def plot(self, ax: Any = None) -> Any:
        """Plot the histogram of the finest diagonal details and the density of the noise; return the axes."""
        ax = new_axes(ax)
        edges = np.linspace(-5, 5, 101) * self.sigma
        ax.hist(self.details, bins=edges, density=True, color="0.8", label="finest details")
        density = np.exp(-0.5 * (edges / self.sigma) ** 2) / (self.sigma * np.sqrt(2 * np.pi))
        ax.plot(edges, density, label=f"noise, sigma {self.sigma:.3g}")
        ax.set(xlabel="wavelet coefficient", ylabel="density")
        ax.margins(x=0)
        ax.set_ylim(top=1.35 * ax.get_ylim()[1])  # room for the legend
        ax.legend(frameon=False, fontsize="small", handlelength=1)
        return ax


def calibrate_gaussian(images: ArrayLike | Sequence[ArrayLike]) -> GaussianCalibration:
    """Estimate the standard deviation of white Gaussian noise from the finest details of the smoothest blocks.

    Parameters
    ----------
    images
        An array ``(..., height, width)`` or a list of such. Texture can only increase the estimate. Therefore the
        function uses the 10% of all blocks with the least coarse structure, and subtracts from their finest details the
        structure that the coarser details predict.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(scale=3.0, size=(128, 128))
    >>> abs(calibrate_gaussian(noise).sigma - 3) < 0.3
    True
    """
    pywt = require("pywt", extra="images", purpose="calibrate_gaussian()")
    planes = as_planes(images)
    sigma = float(np.sqrt(noise_power(finest(planes))))
    if not sigma > 1e-9 * max(float(np.abs(plane).max()) for plane in planes):
        msg = "the images have no detectable noise (their finest details are all zero); specify the noise."
        raise ValueError(msg)
    details = np.concatenate([pywt.dwt2(plane, "db2")[1][2].ravel() for plane in planes])
    return GaussianCalibration(sigma, details[:: max(len(details) // 100_000, 1)].astype(np.float32))
