from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scif.core.noise import Gaussian, Poisson
from scif.fields.images import ImageDenoiser
from scif.fields.images._fitting import _warn_of_lost_signal


class Grey(nn.Module):
    """Makes every image grey."""

    def forward(self, x: Tensor, t: float) -> Tensor:
        return torch.zeros_like(x)


class Unchanged(nn.Module):
    """Removes nothing."""

    def forward(self, x: Tensor, t: float) -> Tensor:
        return x


@pytest.mark.trains
@pytest.mark.parametrize("noise", [Gaussian(3.0), Poisson(1.0)], ids=["Gaussian", "Poisson"])
def test_a_network_that_loses_the_signal_is_named(noise: Gaussian | Poisson) -> None:
    rng = np.random.default_rng(0)
    clean = 100 + 60 * np.sin(np.arange(32) / 5) * np.ones((4, 32, 1))
    images = rng.poisson(clean).astype(np.float32)
    denoiser = ImageDenoiser(noise, widths=(2, 4)).fit(images, max_steps=1, batch_size=2, patch=16)
    restorer = denoiser.restorers_[0]
    x1 = restorer.observe(images[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        restorer.model = Unchanged()
        _warn_of_lost_signal(restorer, x1)
    restorer.model = Grey()
    with pytest.warns(UserWarning, match=r"removes has \d.* times the variance of the noise"):
        _warn_of_lost_signal(restorer, x1)
