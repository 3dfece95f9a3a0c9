"""How close a denoised image is to the truth: PSNR, affine-aligned PSNR, SSIM and Fourier ring correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scif._extras import require

__all__ = ["RingCorrelation", "affine_psnr", "fourier_ring_correlation", "psnr", "ssim"]


def psnr(truth: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio in decibels.

    Parameters
    ----------
    truth, image
        Arrays of one shape.
    data_range
        Peak value, such as 255 for 8-bit images; default the range of ``truth``.

    Examples
    --------
    >>> round(psnr(np.zeros((8, 8)), np.full((8, 8), 25.5), data_range=255), 6)
    20.0
    """
    truth, image = _pair(truth, image)
    data_range = _range(truth, data_range)
    error = float(np.mean((truth - image) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(data_range**2 / error))


def affine_psnr(truth: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    """PSNR after the best linear rescaling ``a * image + b``, for images with different brightness and contrast.

    Parameters
    ----------
    truth, image
        Arrays of one shape.
    data_range
        Peak value; default the range of ``truth``.

    Examples
    --------
    >>> truth = np.arange(64.0).reshape(8, 8)
    >>> affine_psnr(truth, 3 * truth - 7) > 200
    True
    """
    truth, image = _pair(truth, image)
    centred = image - image.mean()
    spread = float(np.mean(centred**2))
    slope = float(np.mean(centred * (truth - truth.mean()))) / spread if spread > 0 else 0.0
    return psnr(truth, truth.mean() + slope * centred, data_range=data_range)


def ssim(truth: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    """Structural similarity of two images ``(*spatial)``, by scikit-image with its default window.

    Parameters
    ----------
    truth, image
        Arrays of one shape, at least 7 entries along every axis.
    data_range
        Peak value, such as 255 for 8-bit images; default the range of ``truth``.

    Examples
    --------
    >>> truth = np.arange(64.0).reshape(8, 8)
    >>> ssim(truth, truth)
    1.0
    """
    similarity = require("skimage.metrics", extra="images", purpose="ssim()").structural_similarity
    truth, image = _pair(truth, image)
    return float(similarity(truth, image, data_range=_range(truth, data_range)))


@dataclass(frozen=True)
class RingCorrelation:
    """Correlation of two images by spatial frequency.

    ``frequency`` is in cycles per pixel (0.5 is the finest that pixels hold), ``correlation`` has one number per ring.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]

    def resolution(self, threshold: float = 1 / 7) -> float:
        """Finest resolved detail in pixels: the period at which the correlation first falls below ``threshold``.

        The common threshold of 1/7 is for two independent images. The result is ``inf`` if not even the coarsest ring
        correlates.
        """
        below = np.flatnonzero(self.correlation < threshold)
        if not below.size:
            return 1 / float(self.frequency[-1])
        k = int(below[0])
        if k == 0:
            return float("inf")
        (f0, f1), (c0, c1) = self.frequency[k - 1 : k + 1], self.correlation[k - 1 : k + 1]
        return 1 / float(f0 + (f1 - f0) * (c0 - threshold) / (c0 - c1))

    def plot(self, ax: Any = None, *, threshold: float = 1 / 7) -> Any:
        """Plot the curve and the threshold, and return the axes."""
        from scif.fields.images._plot import new_axes

        ax = new_axes(ax)
        ax.plot(self.frequency, self.correlation)
        ax.axhline(threshold, color="0.5", linestyle="--", linewidth=1)
        ax.set(xlabel="spatial frequency (cycles per pixel)", ylabel="ring correlation", ylim=(-0.1, 1.05))
        ax.set_title(f"resolution {self.resolution(threshold):.1f} pixels")
        return ax


def fourier_ring_correlation(first: ArrayLike, second: ArrayLike) -> RingCorrelation:
    """Correlation of two images of one object in rings (shells in 3-D) of spatial frequency.

    Two images with independent noise agree at the frequencies where signal is above noise. Compared with a clean truth,
    the curve shows which details a denoiser recovers.

    Parameters
    ----------
    first, second
        Images ``(*spatial)`` of one shape. A Hann window suppresses the borders.

    References
    ----------
    Saxton & Baumeister, J. Microscopy 127 (1982); van Heel, Ultramicroscopy 21 (1987).

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(size=(32, 32))
    >>> bool(np.allclose(fourier_ring_correlation(image, 2 * image + 1).correlation, 1))
    True
    """
    first, second = _pair(first, second)
    window: NDArray[np.float64] = np.ones(())
    for n in first.shape:
        window = window[..., None] * np.hanning(n + 2)[1:-1]
    spectra = [np.fft.fftn((image - image.mean()) * window) for image in (first, second)]
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*(np.fft.fftfreq(n) for n in first.shape), indexing="ij")))
    rings = min(first.shape) // 2
    ring = np.rint(frequency * 2 * rings).astype(int).ravel()

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(ring, weights=values.ravel(), minlength=rings + 1)[1 : rings + 1]
        return np.asarray(sums, dtype=np.float64)  # which they are; NumPy's stub overlooks the weights

    a, b = spectra
    power = np.sqrt(total(np.abs(a) ** 2) * total(np.abs(b) ** 2))
    cross = total((a * b.conj()).real)
    correlation = np.divide(cross, power, out=np.zeros_like(cross), where=power > 0)
    return RingCorrelation(total(frequency) / total(np.ones_like(frequency)), correlation)


def _pair(truth: ArrayLike, image: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(truth, dtype=np.float64), np.asarray(image, dtype=np.float64)
    if a.shape != b.shape or not a.size:
        msg = f"the images have shapes {a.shape} and {b.shape}; pass two of one shape, not empty."
        raise ValueError(msg)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        msg = "an image contains NaN or infinity; fix or mask it before scoring."
        raise ValueError(msg)
    return a, b


def _range(truth: NDArray[np.float64], data_range: float | None) -> float:
    value = float(truth.max() - truth.min()) if data_range is None else float(data_range)
    if not value > 0:
        msg = f"data_range is {value:g} (a constant truth has none); pass the peak, such as 255 for 8-bit images."
        raise ValueError(msg)
    return value
