"""Gain, offset and read noise of a camera, from the relation between the mean and the variance of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scif.fields.images._plot import new_axes
from scif.fields.images.calibration._details import FINE, details
from scif.fields.images.calibration._planes import Plane, as_planes

__all__ = ["PoissonGaussianCalibration", "calibrate_poisson_gaussian", "check_offset"]


@dataclass(frozen=True)
class PoissonGaussianCalibration:
    """The line ``variance = gain * (mean - offset) + read_noise**2``, in the units of the image."""

    gain: float
    """Pixel values per photon."""
    offset: float
    """Offset of the camera in the dark: the value given, else zero, or where the line cuts the axis if that lies
    above zero. (One line has two numbers, a camera three.)"""
    read_noise: float
    """Standard deviation of the noise in the dark."""
    intercept: float
    """Intercept of the line at mean zero."""
    gain_error: float
    """Standard error of the gain."""
    means: NDArray[np.float64] = field(repr=False)
    """Means of groups of pixels, to which the line was fitted."""
    variances: NDArray[np.float64] = field(repr=False)
    """Variances of the same groups."""

    def __str__(self) -> str:
        return (
            f"Poisson-Gaussian noise: gain {self.gain:.4g} (standard error {self.gain_error:.2g}), "
            f"offset {self.offset:.4g}, read noise {self.read_noise:.4g}"
        )

    def plot(self, ax: Any = None) -> Any:
        """Plot variance against mean, with the line, and return the axes."""
        ax = new_axes(ax)
        ax.plot(self.means, self.variances, ".", color="0.5", label="pixels of similar mean")
        ends = np.array([self.means.min(), self.means.max()])
        ax.plot(
            ends, self.gain * ends + self.intercept, label=f"gain {self.gain:.3g}, read noise {self.read_noise:.3g}"
        )
        ax.set(xlabel="mean", ylabel="variance")
        ax.set_ylim(0, 1.25 * max(self.variances.max(), (self.gain * ends + self.intercept).max()))
        ax.legend(frameon=False, fontsize="small", handlelength=1)
        return ax


def calibrate_poisson_gaussian(
    images: ArrayLike | Sequence[ArrayLike],
    *,
    repeats: bool = False,
    offset: float | None = None,
    bins: int = 60,
) -> PoissonGaussianCalibration:
    """Estimate a camera's gain, offset and read noise from images of anything.

    Parameters
    ----------
    images
        An array ``(..., height, width)`` or a list of such. Each plane gives local means and, from the finest diagonal
        details of its least textured regions, local variances.
    repeats
        Treat the planes as repeated exposures of one static scene, whose pixels give means and variances directly. This
        needs no smooth regions, but the lamp and the sample must be stable.
    offset
        Pixel value that the camera records in the dark. By default it is estimated from the line, with limited
        precision.
    bins
        Number of groups of similar mean.

    Raises
    ------
    ValueError
        If the images have too few pixels or too little range of brightness for a line.

    References
    ----------
    Foi, Trimeche, Katkovnik & Egiazarian, IEEE Trans. Image Processing 17 (2008); Janesick, *Photon Transfer* (2007).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scene = np.tile(np.linspace(20, 400, 512), (512, 1))
    >>> found = calibrate_poisson_gaussian(2.0 * rng.poisson(scene / 2.0) + 100, offset=100)
    >>> abs(found.gain - 2) < 0.1, found.read_noise < 5
    (True, True)
    """
    check_offset(offset)
    planes = as_planes(images)
    means, variances, counts = (_repeated if repeats else _single)(planes, bins)
    gain, intercept, error = _line(means, variances, counts)
    if offset is None:
        offset = max(-intercept / gain, 0.0) if gain > 0 else 0.0
    read_noise = float(np.sqrt(max(intercept + gain * offset, 0.0)))
    return PoissonGaussianCalibration(gain, float(offset), read_noise, intercept, error, means, variances)


def check_offset(offset: float | None) -> None:
    """Raise ``ValueError`` unless an offset is a number or not given."""
    if offset is not None and not np.isfinite(offset):
        msg = f"offset is {offset!r}; give the pixel value that the camera records in the dark."
        raise ValueError(msg)


def _repeated(planes: list[Plane], bins: int) -> tuple[Plane, Plane, Plane]:
    """Means, variances and their degrees of freedom from exposures of one scene, pixel by pixel, then grouped."""
    if len(planes) < 2 or len({plane.shape for plane in planes}) > 1:
        shapes = sorted({plane.shape for plane in planes})
        msg = f"repeats=True with {len(planes)} planes of shapes {shapes}; give two or more of one shape."
        raise ValueError(msg)
    stack = np.stack(planes)
    means, variances = stack.mean(axis=0).ravel(), stack.var(axis=0, ddof=1).ravel()
    groups = _groups(means, bins, least=64)
    counts = np.array([len(group) * (len(planes) - 1.0) for group in groups])
    return _averages(means, groups), _averages(variances, groups), counts


def _single(planes: list[Plane], bins: int) -> tuple[Plane, Plane, Plane]:
    """The same from single images: means of blocks, and the power of the finest details of the smoothest.

    Texture adds to the variance of a block, never subtracts. Blocks are chosen by their coarse details, which tell
    nothing of the noise in the fine ones.
    """
    found = details(planes)
    groups = _groups(found.mean, bins, least=80)
    smooth = [group[np.argsort(found.coarse[group], kind="stable")[: len(group) // 4]] for group in groups]
    counts = np.array([float(FINE.sum() * len(group)) for group in smooth])
    return _averages(found.mean, smooth), _averages(found.fine, smooth), counts


def _groups(means: Plane, bins: int, *, least: int) -> list[NDArray[np.intp]]:
    """Indices grouped by similar mean, at least ``least`` to a group."""
    count = min(bins, len(means) // least)
    if count < 3:
        msg = f"only {len(means)} usable regions or pixels; calibrating gain and read noise needs {3 * least} or more."
        raise ValueError(msg)
    return np.array_split(np.argsort(means, kind="stable"), count)


def _averages(values: Plane, groups: list[NDArray[np.intp]]) -> Plane:
    return np.array([values[group].mean() for group in groups])


def _line(means: Plane, variances: Plane, counts: Plane) -> tuple[float, float, float]:
    """Robust weighted line through the points: slope, height at zero and the slope's standard error.

    The variance of a sample variance is ``2 variance**2 / count``, so the weights follow from the line itself.
    """
    from scipy.optimize import least_squares

    spread = float(np.ptp(means))
    if not spread > 0 or not variances.max() > 0:
        msg = (
            "the images have one brightness or no noise; variance cannot be related to the mean, so specify the noise."
        )
        raise ValueError(msg)
    centre, floor = float(means.mean()), 1e-3 * float(variances.mean())
    scaled = (means - centre) / spread
    predicted = np.full_like(variances, variances.mean())
    parameters = np.array([0.0, variances.mean()])
    for _ in range(5):
        weight = np.sqrt(counts / 2) / np.maximum(predicted, floor)
        fit = least_squares(
            lambda p, w=weight: w * (p[0] * scaled + p[1] - variances), parameters, loss="soft_l1", f_scale=2.0
        )
        parameters = fit.x
        predicted = parameters[0] * scaled + parameters[1]
    noise = max(2 * fit.cost / max(len(means) - 2, 1), 1.0)
    error = float(np.sqrt(np.linalg.inv(fit.jac.T @ fit.jac)[0, 0] * noise)) / spread
    gain = float(parameters[0]) / spread
    return gain, float(parameters[1]) - gain * centre, error
