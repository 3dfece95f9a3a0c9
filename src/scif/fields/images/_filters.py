"""Classical filters of scikit-image, as models that an unbiased risk can judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FILTERS", "as_model"]

Filter = Callable[[NDArray[np.float64], float, float], NDArray[np.float64]]


def _gaussian(plane: NDArray[np.float64], sigma: float, strength: float) -> NDArray[np.float64]:
    from skimage.filters import gaussian

    return gaussian(plane, strength, preserve_range=True)


def _total_variation(plane: NDArray[np.float64], sigma: float, strength: float) -> NDArray[np.float64]:
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(plane, weight=strength * sigma)


def _wavelets(plane: NDArray[np.float64], sigma: float, strength: float) -> NDArray[np.float64]:
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(plane, sigma=strength * sigma, method="BayesShrink", mode="soft", rescale_sigma=False)


def _non_local_means(plane: NDArray[np.float64], sigma: float, strength: float) -> NDArray[np.float64]:
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(plane, sigma=sigma, h=strength * sigma, patch_size=5, patch_distance=6, fast_mode=True)


FILTERS: dict[str, tuple[Filter, tuple[float, ...]]] = {
    "Gaussian filter": (_gaussian, (0.7, 1.0, 1.5)),
    "total variation": (_total_variation, (0.5, 1.0, 1.5)),
    "wavelets": (_wavelets, (0.7, 1.0)),
    "non-local means": (_non_local_means, (0.6, 0.8, 1.0)),
}
"""Each filter with the strengths among which the least risk decides: for the first in pixels, else in units of the
noise's standard deviation."""


def as_model(one: Filter, sigma: float, strength: float) -> Callable[..., Tensor]:
    """A filter called ``model(x, t)``, plane by plane."""

    def model(x: Tensor, t: object) -> Tensor:
        planes = x.double().numpy().reshape(-1, *x.shape[-2:])
        filtered = np.stack([one(plane, sigma, strength) for plane in planes])
        return torch.from_numpy(np.ascontiguousarray(filtered)).to(x.dtype).view(x.shape)

    return model
