"""Images as a list of two-dimensional planes, which is what noise is calibrated on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scif.fields.images._mask import Unmeasured

__all__ = ["Plane", "as_planes"]

Plane = NDArray[np.float64]


def as_planes(images: ArrayLike | Sequence[ArrayLike], *, least: int = 16) -> list[Plane]:
    """Every plane ``(height, width)`` of an array ``(..., height, width)``, or of a list of such arrays.

    Raises
    ------
    ValueError
        If there is none, one is smaller than ``least`` pixels a side, or holds NaN or infinity.
    """
    if isinstance(images, _Mended):
        return images
    arrays = images if isinstance(images, list | tuple) else [images]
    planes: list[Plane] = []
    for k, array in enumerate(arrays):
        values = np.asarray(array, dtype=np.float64)
        if values.ndim < 2 or min(values.shape[-2:]) < least:
            msg = f"image {k} has shape {values.shape}; calibration needs {least} x {least} pixels or more."
            raise ValueError(msg)
        if not np.isfinite(values).all():
            msg = (
                f"image {k} holds {int((~np.isfinite(values)).sum())} values that are NaN or infinite; fix or crop it."
            )
            raise ValueError(msg)
        planes.extend(values.reshape(-1, *values.shape[-2:]))
    if not planes:
        msg = "images is empty; pass at least one image to calibrate the noise."
        raise ValueError(msg)
    return _Mended(_mend(planes))


class _Mended(list[Plane]):
    """Planes that need not be mended again."""


def _mend(planes: list[Plane]) -> list[Plane]:
    """Planes without blank ones, hot pixels and padding."""
    found = Unmeasured.find(planes)
    if not found:
        return planes
    whole = [plane for plane in planes if np.ptp(plane) > 0] or planes
    return [found.mend(plane)[0] for plane in whole]
