"""Which kind of noise is it: the decision behind ``noise="auto"``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from scif._extras import require
from scif.fields.images.calibration._details import whiteness
from scif.fields.images.calibration._planes import Plane, as_planes
from scif.fields.images.calibration.correlated import CorrelatedCalibration, calibrate_correlated
from scif.fields.images.calibration.gaussian import GaussianCalibration, calibrate_gaussian
from scif.fields.images.calibration.poisson_gaussian import (
    PoissonGaussianCalibration,
    calibrate_poisson_gaussian,
    check_offset,
)

__all__ = ["KINDS", "Calibration", "Kind", "calibrate", "calibrate_planes", "clear_gain"]

Kind = Literal["gaussian", "correlated_gaussian", "poisson", "poisson_gaussian"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Calibration:
    """Kind of noise found in images, with the measurements behind the decision."""

    kind: Kind
    """Detected kind of noise."""
    gaussian: GaussianCalibration
    """Calibration as white Gaussian noise."""
    poisson_gaussian: PoissonGaussianCalibration | None
    """Calibration as camera noise; None if the images are too small or have only one brightness."""
    correlated: CorrelatedCalibration | None
    """Calibration as correlated noise; None if the images are too small to separate background from structure."""

    def __str__(self) -> str:
        return self.describe(self.kind)

    def describe(self, kind: Kind) -> str:
        """Text with the parameters of a given kind of noise."""
        if kind == "poisson" and self.poisson_gaussian is not None:
            return f"Poisson noise: gain {self.poisson_gaussian.gain:.4g}"
        measured = {"gaussian": self.gaussian, "correlated_gaussian": self.correlated}
        return str(measured.get(kind, self.poisson_gaussian))

    def plot(self) -> Any:
        """Plot one panel per measurement, and return the figure."""
        plt = require("matplotlib.pyplot", extra="plot", purpose="Calibration.plot()")
        parts = [part for part in (self.gaussian, self.poisson_gaussian, self.correlated) if part is not None]
        figure, axes = plt.subplots(1, len(parts), figsize=(4.2 * len(parts), 3.2), layout="constrained", squeeze=False)
        for part, ax in zip(parts, axes[0], strict=True):
            part.plot(ax)
        figure.suptitle(str(self))
        return figure


def calibrate(images: ArrayLike | Sequence[ArrayLike], *, offset: float | None = None) -> Calibration:
    """Measure the noise of images and identify its kind.

    The noise is correlated if neighbouring background pixels correlate by more than 0.2. Otherwise it is Poisson or
    Poisson-Gaussian if the variance grows with the mean, by more than five standard errors and by half its median over
    the range of brightness. Otherwise it is white Gaussian. Poisson means that the rest of the variance (read noise and
    offset) is below a tenth of the median.

    Parameters
    ----------
    images
        An array ``(..., height, width)`` or a list of such, of one channel.
    offset
        Pixel value that the camera records in the dark, if known.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> print(calibrate(np.linspace(0, 100, 256) + rng.normal(scale=5.0, size=(256, 256))))
    Gaussian noise: sigma ...
    """
    check_offset(offset)
    planes = as_planes(images)
    return calibrate_planes(planes, planes, offset=offset)


def calibrate_planes(planes: list[Plane], bright: list[Plane], *, offset: float | None = None) -> Calibration:
    """The same of planes that may differ in their structure: ``bright`` has the brightness of the smallest blocks."""
    gaussian = calibrate_gaussian(planes)
    try:
        camera = calibrate_poisson_gaussian(bright, offset=offset)
    except ValueError:
        camera = None
    correlated = _correlation(planes)
    return Calibration(_decide(planes, gaussian, camera, correlated), gaussian, camera, correlated)


def _correlation(planes: list[Plane]) -> CorrelatedCalibration | None:
    """The correlation of the background, if there are tiles enough to find some background among them."""
    for reach in (8, 4):
        side = 4 * reach
        if sum((plane.shape[0] // side) * (plane.shape[1] // side) for plane in planes) >= 60:
            large = [plane for plane in planes if min(plane.shape) >= side]
            try:
                return calibrate_correlated(large, reach=reach)
            except ValueError:
                return None
    return None


_WHITE = 0.55
"""Least power of the finest details, in units of that of coarser ones, of white noise: 0.6 or more on strong texture
under weak noise, 0.85 or more elsewhere; correlated noise has 0.5 at most."""
_DOUBTFUL, _STRONGER = 0.4, 2.0
"""From this power of the finest details on, noise correlated so little is at most this many times as strong
as white noise of the finest details; what is stronger is structure."""


def _decide(
    planes: list[Plane],
    gaussian: GaussianCalibration,
    camera: PoissonGaussianCalibration | None,
    correlated: CorrelatedCalibration | None,
) -> Kind:
    """The camera's line first: after the transform that it gives, noise of any brightness can be tested for white.

    Where texture and correlated noise cannot be told apart, the kind that removes less.
    """
    grows = camera is not None and _grows(camera)
    if correlated is not None and abs(correlated.neighbours) > 0.2:
        stable = [_stabilised(plane, camera) for plane in planes] if camera is not None and grows else planes
        most = _DOUBTFUL if correlated.sigma > _STRONGER * gaussian.sigma else _WHITE
        if whiteness(stable) < most and whiteness(planes) < most:
            return "correlated_gaussian"
    if camera is None or not grows:
        return "gaussian"
    typical = float(np.median(camera.variances))
    small = abs(camera.intercept) < 0.1 * typical and camera.offset < 0.1 * np.median(camera.means)
    return "poisson" if small else "poisson_gaussian"


def clear_gain(images: ArrayLike | Sequence[ArrayLike]) -> float | None:
    """The gain of images if their variance clearly grows with their brightness and its error is below a tenth."""
    try:
        camera = calibrate_poisson_gaussian(images)
    except ValueError:
        return None
    return camera.gain if _grows(camera) and camera.gain_error < 0.1 * camera.gain else None


def _grows(camera: PoissonGaussianCalibration) -> bool:
    growth = camera.gain * float(np.ptp(camera.means))
    return camera.gain > 5 * camera.gain_error and growth > 0.5 * float(np.median(camera.variances))


def _stabilised(plane: Plane, camera: PoissonGaussianCalibration) -> Plane:
    """Anscombe's transform, after which a camera's noise has the variance one."""
    gain = camera.gain
    return 2 / gain * np.sqrt(np.maximum(gain * plane + 0.375 * gain**2 + camera.intercept, 0.0))
