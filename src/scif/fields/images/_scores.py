"""Scores of image files against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from scif.fields.images._inputs import open_images
from scif.fields.images.metrics import affine_psnr, fourier_ring_correlation, psnr, ssim

__all__ = ["SCORES", "score_images"]

SCORES = ("psnr", "affine_psnr", "ssim", "resolution")
"""Names of the scores: ``psnr``, ``affine_psnr``, ``ssim`` and ``resolution``."""


def score_images(
    truth: Any, images: Any, *, axes: str | None = None, ndim: int = 2, data_range: float | None = None
) -> dict[str, float]:
    """Compute all scores, averaged over the images and channels of an array or file.

    Parameters
    ----------
    truth, images
        Two arrays or files of one shape.
    axes, ndim
        Same as for :class:`~scif.fields.images.ImageDenoiser`.
    data_range
        Peak value; default the range of the truth.

    Returns
    -------
    PSNR and affine PSNR in decibels, SSIM, and the resolution in pixels by Fourier ring correlation.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    a, b = (open_images(one, axes=axes, ndim=ndim)[0] for one in (truth, images))
    shapes = [(len(one.stack), one.stack.channels, *one.stack.spatial) for one in (a, b)]
    if shapes[0] != shapes[1]:
        names = ["the truth" if one.file is None else str(one.file.path) for one in (a, b)]
        msg = f"{names[1]} holds {shapes[1]} images, channels and pixels, but {names[0]} {shapes[0]}."
        raise ValueError(msg)
    peak = data_range
    if peak is None:
        extremes = [(piece.min(), piece.max()) for piece in map(a.stack.read, range(len(a.stack)))]
        peak = float(max(high for _, high in extremes)) - float(min(low for low, _ in extremes))
    rows = []
    for k in range(len(a.stack)):
        for x, y in zip(a.stack.read(k), b.stack.read(k), strict=True):
            scores = [measure(x, y, data_range=peak) for measure in (psnr, affine_psnr, ssim)]
            rows.append([*scores, fourier_ring_correlation(x, y).resolution()])
    return dict(zip(SCORES, np.mean(rows, axis=0).tolist(), strict=True))
