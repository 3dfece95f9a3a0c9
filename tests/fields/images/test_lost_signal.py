from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scif.core.noise import CorrelatedGaussian, Gaussian, Poisson
from scif.fields.images import ImageDenoiser, _fitting, calibrate
from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._channel import Found
from scif.fields.images._lost_signal import lost_signal, milder
from scif.fields.images._restorer import Restorer


class Grey(nn.Module):
    """Makes every image grey."""

    def forward(self, x: Tensor, t: float) -> Tensor:
        return torch.zeros_like(x)


class Known(nn.Module):
    """Knows the clean image."""

    def __init__(self, clean: Tensor) -> None:
        super().__init__()
        self.clean = clean

    def forward(self, x: Tensor, t: float) -> Tensor:
        return self.clean


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
    restorer.model = Unchanged()
    assert lost_signal(restorer, x1) is None
    restorer.model = Grey()
    assert re.search(r"removed part has \d.* times the variance of the noise", lost_signal(restorer, x1) or "")


def fine_texture(side: int = 96) -> np.ndarray:
    """Stripes of six pixels in every place and direction: no tile of it is quiet."""
    y, x = np.mgrid[:side, :side]
    return (100 + 12 * np.sin(x) + 12 * np.sin((x + y) / 1.3)).astype(np.float32)


@pytest.mark.trains
def test_a_guess_that_removes_signal_is_left_for_one_that_removes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and in one warning; if that loses signal, too, it is said."""
    clean = fine_texture()
    noisy = clean + 3 * np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    white = calibrate(noisy)
    found = Found(CorrelatedGaussian.from_span(0.7, 20.0), calibrations=[white])
    monkeypatch.setattr(_fitting, "find_noise", lambda *_: found)
    monkeypatch.setattr(_fitting, "lost_signal", lambda restorer, x1: "It went." if lost.pop(0) else None)
    for lost, count in (([True, False], 1), ([True, True], 2), ([False], 0)):
        falls = lost[0]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            denoiser = ImageDenoiser("auto", widths=(2, 4)).fit(noisy, max_steps=1, batch_size=2, patch=16)
        said = [str(one.message) for one in told if "It went." in str(one.message)]
        assert not lost
        assert isinstance(denoiser.noise_[0], Gaussian if falls else CorrelatedGaussian)
        assert len(said) == count
        assert all("falls back from CorrelatedGaussian" in one and "to Gaussian" in one for one in said[:1])


def test_structure_in_what_is_removed_is_judged_beside_the_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.from_numpy(fine_texture())[None, None]
    white, correlated = Gaussian(20.0), CorrelatedGaussian.from_span(1.5, 20.0)
    units = {"mean": torch.zeros(1, 1, 1), "spread": torch.full((1, 1, 1), 20.0)}
    for noise in (white, correlated):
        restorer = Restorer(Known(clean / 20), Found(noise), **units)
        assert lost_signal(restorer, noise.sample(clean, generator=generator) / 20) is None
    restorer = Restorer(Known(clean / 20), Found(white), **units)
    assert "have a covariance of" in (lost_signal(restorer, correlated.sample(clean, generator=generator) / 20) or "")


def test_little_that_is_removed_is_no_lost_signal() -> None:
    clean = torch.from_numpy(fine_texture())[None, None]
    restorer = Restorer(
        Known(clean * 0.99 / 20),
        Found(Gaussian(20.0)),
        mean=torch.zeros(1, 1, 1),
        spread=torch.full((1, 1, 1), 20.0),
    )
    assert lost_signal(restorer, clean / 20) is None


def test_milder_is_less_or_nothing() -> None:
    noisy = fine_texture() + np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    stacks = [ImageStack(noisy, Axes("YX"))]
    measured = [calibrate(noisy)]
    less = milder(Found(CorrelatedGaussian.from_span(1.5, 50.0), calibrations=measured), stacks)
    assert less is not None
    assert isinstance(less.noise, Gaussian)
    assert milder(Found(CorrelatedGaussian.from_span(1.5, 1e-3), calibrations=measured), stacks) is None
    assert milder(Found(Gaussian(50.0), calibrations=measured), stacks) is None
