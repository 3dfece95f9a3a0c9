"""The power spectrum of noise that is correlated between neighbouring pixels, from empty background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scif.fields.images._plot import new_axes
from scif.fields.images.calibration._planes import Plane, as_planes
from scif.fields.images.calibration._share import noise_share

__all__ = ["CorrelatedCalibration", "calibrate_correlated"]

_ALIKE = 0.9999
"""Share of empty fields whose tiles differ so little in their variance."""
_FAR = 4.0
"""Standard errors by which the skewness and kurtosis of an empty field differ from zero at most."""
_ROUNDS = 12
"""Rounds that undo the loss by a trend; each leaves a third of the error of the one before, or less."""


@dataclass(frozen=True)
class CorrelatedCalibration:
    """Noise with standard deviation ``sigma`` and correlation ``autocorrelation`` between pixels at a distance.

    ``autocorrelation`` is ``(2 * reach + 1, 2 * reach + 1)`` with distance zero in the centre, where it is one;
    ``tiles`` is the number of background tiles in the average.
    """

    sigma: float
    autocorrelation: NDArray[np.float64] = field(repr=False)
    tiles: int

    @property
    def reach(self) -> int:
        """Largest distance, in pixels along an axis, at which the correlation was measured."""
        return self.autocorrelation.shape[0] // 2

    @property
    def neighbours(self) -> float:
        """Correlation with the next pixel, vertically or horizontally, whichever is further from zero."""
        k = self.reach
        return float(max(self.autocorrelation[k + 1, k], self.autocorrelation[k, k + 1], key=abs))

    def spectrum(self, shape: Sequence[int]) -> NDArray[np.float64]:
        """Power spectrum on the FFT grid of an image of ``shape``: its mean is ``sigma**2``.

        The periodogram of white noise is flat; :func:`numpy.fft.fftn` gives the order of frequencies.
        """
        canvas = np.zeros(tuple(shape))
        distances = np.arange(-self.reach, self.reach + 1)
        np.add.at(canvas, np.ix_(distances % shape[0], distances % shape[1]), self.autocorrelation)
        power = np.maximum(np.fft.fft2(canvas).real, 0.0)
        return self.sigma**2 * power / power.mean()

    def kernel(self) -> NDArray[np.float64]:
        """Symmetric kernel ``(2 * reach + 1, 2 * reach + 1)`` of unit norm that turns white noise into this noise."""
        side = 4 * self.reach + 1
        amplitude = np.fft.ifft2(np.sqrt(self.spectrum((side, side)))).real
        kernel = np.fft.fftshift(amplitude)[self.reach : -self.reach, self.reach : -self.reach]
        return kernel / np.sqrt((kernel**2).sum())

    def __str__(self) -> str:
        return (
            f"Gaussian noise correlated between pixels: sigma {self.sigma:.4g}, "
            f"{self.neighbours:+.2f} between neighbours (from {self.tiles} pieces of background)"
        )

    def plot(self, ax: Any = None) -> Any:
        """Plot the correlation by distance, and return the axes."""
        ax = new_axes(ax)
        extent = (-self.reach - 0.5, self.reach + 0.5, self.reach + 0.5, -self.reach - 0.5)
        image = ax.imshow(self.autocorrelation, vmin=-1, vmax=1, cmap="RdBu_r", extent=extent)
        ax.set(
            xlabel="distance (pixels)", ylabel="distance (pixels)", title=f"noise correlation, sigma {self.sigma:.3g}"
        )
        ax.figure.colorbar(image, ax=ax)
        return ax


def calibrate_correlated(
    images: ArrayLike | Sequence[ArrayLike],
    *,
    background: tuple[slice, slice] | None = None,
    reach: int = 8,
) -> CorrelatedCalibration:
    """Measure the noise and its correlation in empty regions of an image.

    Parameters
    ----------
    images
        An array ``(..., height, width)`` or a list of such.
    background
        Rows and columns of a region without structure. By default the 5% of all tiles with the lowest variance count as
        background, or all if they look like noise alone; this is a guess, so check the plot. The detectable
        structure in these tiles is subtracted from their variance.
    reach
        Largest distance in pixels; correlations beyond it count as zero.

    Raises
    ------
    ValueError
        If the background is smaller than three times the reach.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(scale=2.0, size=(200, 201))
    >>> empty = (white[:, 1:] + white[:, :-1]) / 2**0.5
    >>> found = calibrate_correlated(empty, background=(slice(0, 200), slice(0, 200)))
    >>> abs(found.sigma - 2) < 0.1, abs(found.neighbours - 0.5) < 0.05
    (True, True)
    """
    side = 4 * reach
    planes = as_planes(images, least=side if background is None else 2)
    if background is None:
        candidates = [tile for plane in planes for tile in _tiles(plane, side)]
        empty = _is_empty(candidates, reach)
        tiles = candidates if empty else _quietest(candidates)
    else:
        empty = True
        tiles = [_detrend(plane[background]) for plane in planes]
        if min(tiles[0].shape) < 3 * reach:
            msg = f"background covers {tiles[0].shape} pixels; it must be at least {3 * reach} a side, or lower reach."
            raise ValueError(msg)
    covariance = _mean_covariance(tiles, reach)
    if empty:  # elsewhere trends are of structure, and the quietest tiles show more of it than of noise
        covariance = _before_trend(covariance, tiles[0].shape)
    variance = float(covariance[reach, reach])
    if not variance > 0:
        msg = "the background is constant, so it shows no noise; choose another region or specify the noise."
        raise ValueError(msg)
    if not empty:
        variance *= noise_share(tiles, covariance)
    return CorrelatedCalibration(float(np.sqrt(variance)), covariance / covariance[reach, reach], len(tiles))


def _quietest(tiles: list[Plane]) -> list[Plane]:
    """The twentieth of the tiles with the least variance."""
    order = np.argsort([tile.var() for tile in tiles], kind="stable")
    return [tiles[k] for k in order[: max(len(tiles) // 20, 8)]]


def _is_empty(tiles: list[Plane], reach: int) -> bool:
    r"""Whether all tiles show nothing but Gaussian noise with the correlation of the quietest.

    Then the variances of tiles scatter by :math:`2 \sum \rho^2 / n` (``n`` pixels each, correlations
    :math:`\rho`), and skewness and excess kurtosis of all pixels are zero, with the variances
    :math:`6 \sum \rho^3 / N` and :math:`24 \sum \rho^4 / N`. Even texture makes no Gaussian pixels.
    """
    from scipy.stats import chi2

    covariance = _before_trend(_mean_covariance(_quietest(tiles), reach), tiles[0].shape)
    if len(tiles) < 2 or not covariance[reach, reach] > 0:
        return False
    powers = [np.abs(covariance / covariance[reach, reach]) ** k for k in (2, 3, 4)]
    spread, skew, kurtosis = (factor * float(one.sum()) for factor, one in zip((2, 6, 24), powers, strict=True))
    pixels = np.concatenate([tile.ravel() for tile in tiles])
    pixels = pixels / pixels.std()
    if abs(np.mean(pixels**3)) > _FAR * (skew / pixels.size) ** 0.5:
        return False
    if abs(np.mean(pixels**4) - 3) > _FAR * (kurtosis / pixels.size) ** 0.5:
        return False
    variances = np.array([tile.var() for tile in tiles])
    seen = float(variances.var(ddof=1)) / float(variances.mean()) ** 2
    return seen * (len(tiles) - 1) < spread / tiles[0].size * float(chi2.ppf(_ALIKE, len(tiles) - 1))


def _mean_covariance(tiles: list[Plane], reach: int) -> Plane:
    """Mean product of pixels at each distance."""
    return np.mean([_autocovariance(tile, reach) for tile in tiles], axis=0)


def _before_trend(found: Plane, shape: Sequence[int]) -> Plane:
    """The covariance that tiles of a shape had before each of them lost its linear trend.

    The trend of a tile takes some of the noise with it: with the projection :math:`P` on its three dimensions, the
    covariance :math:`C` of pixels leaves :math:`C - PC - CP + PCP`, which is solved for :math:`C` by iteration.
    """
    from scipy.signal import fftconvolve

    reach = len(found) // 2
    rows, columns = (np.linspace(-1, 1, n) for n in shape)
    flat = np.ones(shape)
    trend = [one / np.linalg.norm(one) for one in (flat, flat * rows[:, None], flat * columns)]
    centre = tuple(slice(n - 1 - reach, n + reach) for n in shape)
    pairs = np.outer(*(n - np.abs(np.arange(-reach, reach + 1)) for n in shape))

    def together(a: Plane, b: Plane) -> Plane:
        result: Plane = fftconvolve(a, b[::-1, ::-1])[centre]
        return result

    both = [[together(a, b) for b in trend] for a in trend]
    covariance = found
    for _ in range(_ROUNDS):
        images = [fftconvolve(one, covariance, mode="same") for one in trend]
        lost = np.zeros_like(found)
        for k, (a, image) in enumerate(zip(trend, images, strict=True)):
            lost += together(a, image) + together(image, a)
            lost -= sum(float((a * other).sum()) * both[k][i] for i, other in enumerate(images))
        covariance = found + lost / pairs
    return covariance


def _tiles(plane: Plane, side: int) -> list[Plane]:
    """Tiles of an image, not overlapping, each without its linear trend."""
    rows, columns = (n // side for n in plane.shape)
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    return [_detrend(tile) for tile in cut.reshape(-1, side, side)]


def _detrend(tile: Plane) -> Plane:
    """Remove the best-fitting plane."""
    rows, columns = (np.linspace(-1, 1, n) for n in tile.shape)
    tile = tile - tile.mean()
    tile = tile - rows[:, None] * (rows @ tile.mean(axis=1)) / (rows @ rows)
    return tile - columns * (columns @ tile.mean(axis=0)) / (columns @ columns)


def _autocovariance(tile: Plane, reach: int) -> Plane:
    """Mean product of pixels at each distance, over the pairs inside the tile."""
    shape = [n + reach for n in tile.shape]
    power = np.abs(np.fft.rfft2(tile, s=shape)) ** 2
    products = np.fft.irfft2(power, s=shape)
    distances = np.arange(-reach, reach + 1)
    pairs = np.outer(*(n - np.abs(distances) for n in tile.shape))
    return products[np.ix_(distances, distances)] / pairs
