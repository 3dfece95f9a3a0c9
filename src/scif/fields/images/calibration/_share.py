"""How much of the variance that quiet pieces of images show is correlated noise, and how much structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scif.fields.images.calibration._details import FEWEST, LEAST, QUIET, SIDE, SPREAD, blocks
from scif.fields.images.calibration._planes import Plane

__all__ = ["noise_share"]

_FREQUENCY = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
_LOW, _MIDDLE, _HIGH = (
    np.flatnonzero((low <= _FREQUENCY) & (high >= _FREQUENCY)) for low, high in ((1, 3), (4, 6), (7, 9))
)
_FLOOR = 1e-3
"""Least power of a frequency that is looked at, in units of the mean."""


def noise_share(pieces: list[Plane], covariance: NDArray[np.float64]) -> float:
    """Share of noise in a covariance of pixels of some pieces, by distance ``(2 reach + 1, 2 reach + 1)``.

    In units of what the covariance predicts, blocks with little power at low frequencies show at high ones the power of
    the noise and of structure. That of noise hardly depends on the power at medium frequencies, that of structure rises
    with it.
    """
    from scipy.fft import dctn

    predicted = _of_blocks(covariance)
    power = predicted.diagonal()
    power = np.maximum(power, _FLOOR * power.mean())
    cut = np.concatenate([blocks(part) for one in pieces for part in (one, one[SIDE // 2 :, SIDE // 2 :])])
    relative = dctn(cut, axes=(1, 2), norm="ortho").reshape(len(cut), -1) ** 2 / power
    low, middle, high = (relative[:, band].mean(axis=1) for band in (_LOW, _MIDDLE, _HIGH))
    quiet = np.argsort(low, kind="stable")[: max(int(QUIET * len(low)), FEWEST)]
    middle, high = middle[quiet], high[quiet]
    squares = 2 * (predicted**2 / np.outer(power, power))[np.ix_(_MIDDLE, _HIGH)]
    together = float(np.mean((middle - middle.mean()) * (high - high.mean())) - squares.mean())
    error = float(middle.std() * high.std()) / len(quiet) ** 0.5
    if together < 2 * error:  # no structure that can be seen
        return 1.0
    return float(np.clip(high.mean() - SPREAD * (together - error) ** 0.5, LEAST * min(high.mean(), 1.0), 1.0))


def _of_blocks(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the cosine transform of blocks, frequency by frequency."""
    from scipy.fft import dct

    reach = (len(covariance) - 1) // 2
    padded = np.pad(covariance, max(SIDE - 1 - reach, 0))
    centre = (len(padded) - 1) // 2
    places = np.arange(SIDE)
    apart = centre + places[:, None] - places[None, :]
    pixels = padded[apart[:, None, :, None], apart[None, :, None, :]].reshape(SIDE**2, SIDE**2)
    basis = dct(np.eye(SIDE), axis=0, norm="ortho")
    both = np.kron(basis, basis)
    return both @ pixels @ both.T
