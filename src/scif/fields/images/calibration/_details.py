"""The finest details of images, where structure is weakest and white noise as strong as everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scif.fields.images.calibration._planes import Plane

__all__ = ["FINE", "Details", "blocks", "details", "noise_power", "whiteness"]

SIDE = 8
"""Side of the blocks whose cosine transform is taken."""
_FREQUENCY = np.add.outer(np.arange(SIDE), np.arange(SIDE))
_COARSE = (_FREQUENCY >= 4) & (_FREQUENCY <= 6)
_RING = (_FREQUENCY >= 7) & (_FREQUENCY <= 9)
FINE = _FREQUENCY >= 11
QUIET, FEWEST = 0.1, 100
"""Share and least number of blocks, those with the least coarse structure, that tell the noise."""
SPREAD = 1.2
"""Mean power of structure in the finest details of quiet blocks, in units of the root of the covariance of the finest
and coarser power: for structure that differs from block to block by as much as its mean, and is as strong as in the
coarser details to half again as strong there."""
LEAST = 0.1
"""Share of the finest power that is noise at least."""


@dataclass(frozen=True)
class Details:
    """Blocks of images: their mean, and the power of their coarse and fine details.

    The cosine transform is orthonormal: white noise has the same power, its variance, at all frequencies, and its
    coarse part is independent of its fine part. So blocks chosen for little coarse structure do not bias the latter.
    """

    mean: NDArray[np.float64]
    coarse: NDArray[np.float64]
    ring: NDArray[np.float64]
    fine: NDArray[np.float64]

    def quietest(self, share: float = QUIET) -> NDArray[np.intp]:
        """Indices of the blocks with the least coarse structure."""
        return np.argsort(self.coarse, kind="stable")[: max(int(share * len(self.coarse)), FEWEST)]


def details(planes: list[Plane]) -> Details:
    """Cosine transform of the blocks of planes, those with saturated pixels left out."""
    from scipy.fft import dctn

    columns = []
    for plane in planes:
        cut = np.concatenate([blocks(plane), blocks(plane[SIDE // 2 :, SIDE // 2 :])])
        top = plane.max()
        if np.mean(plane == top) > 1e-3:  # saturated pixels have lost their noise
            kept = cut[cut.max(axis=(1, 2)) < top]
            cut = kept if len(kept) else cut
        power = dctn(cut, axes=(1, 2), norm="ortho") ** 2
        bands = [power[:, band].mean(axis=1) for band in (_COARSE, _RING, FINE)]
        columns.append([cut.mean(axis=(1, 2)), *bands])
    return Details(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def noise_power(found: Details) -> float:
    """Variance of white noise: power of the finest details of quiet blocks, less that of structure.

    Texture all over an image leaves no block quiet. But the finest power of white noise is independent of the coarser
    power of the same block, that of structure rises with it. Their covariance tells how much is structure.
    """
    quiet = found.quietest()
    fine, ring = found.fine[quiet], found.ring[quiet]
    error = fine.std() * ring.std() / len(quiet) ** 0.5
    together = float(np.mean((fine - fine.mean()) * (ring - ring.mean())) - error)
    return float(max(fine.mean() - SPREAD * max(together, 0.0) ** 0.5, LEAST * fine.mean()))


def whiteness(planes: list[Plane]) -> float:
    """Power of the finest details over that of coarser ones: one for white noise, less if neighbours correlate.

    Structure lowers it, too, but white noise has a floor at the finest frequencies that correlated noise has not.
    """
    found = details(planes)
    quiet = found.quietest()
    ring = float(found.ring[quiet].mean())
    return float(found.fine[quiet].mean()) / ring if ring > 0 else 1.0


def blocks(plane: Plane) -> Plane:
    """Squares of ``SIDE`` pixels, not overlapping."""
    rows, columns = (n // SIDE for n in plane.shape)
    cut = plane[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE)
