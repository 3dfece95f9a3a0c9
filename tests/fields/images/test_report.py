"""A report's figures agree with a truth that it does not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scif.core.noise import Gaussian, PoissonGaussian
from scif.fields.images import ImageDenoiser, ImageReport
from scif.fields.images._objective import make_risk
from scif.fields.images._reporting import _autocorrelation


def scene(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return 120 + 50 * np.sin(x / 9) * np.cos(y / 11) + 30 * (np.hypot(x % 40 - 20, y % 40 - 20) < 12)


@pytest.fixture(scope="module")
def fitted() -> tuple[ImageDenoiser, np.ndarray]:
    noisy = scene(96) + 20 * np.random.default_rng(0).normal(size=(6, 96, 96))
    return ImageDenoiser(Gaussian(20.0), widths=(4, 8)).fit(noisy[:4], max_steps=60, patch=24), noisy[4:]


@pytest.mark.trains
def test_the_risk_is_the_squared_error_that_the_truth_tells(fitted: tuple[ImageDenoiser, np.ndarray]) -> None:
    denoiser, noisy = fitted
    report = denoiser.report(noisy)
    error = np.mean((denoiser.denoise(noisy) - scene(96)) ** 2)
    assert report.risk["nothing"] == pytest.approx(400 / 0.95, rel=0.05)
    assert report.risk["scif"] == pytest.approx(error, abs=20)
    assert 0.5 < report.removed_variance < 1.05
    assert abs(report.removed_mean) < 0.2 and abs(report.neighbours) < 0.3
    np.testing.assert_allclose(report.variances, 400, rtol=0.5)
    np.testing.assert_allclose(report.assumed, 400, rtol=1e-5)
    assert "non-local means" in str(report) and report.best != "nothing"


@pytest.mark.trains
def test_it_is_written_as_one_file_and_drawn(fitted: tuple[ImageDenoiser, np.ndarray], tmp_path: Path) -> None:
    report = fitted[0].report(fitted[1])
    assert isinstance(report, ImageReport)
    frame = report.to_frame()
    assert frame.loc["nothing", "gain in dB"] == pytest.approx(0)
    text = report.to_html(tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in text and "http" not in text
    with pytest.raises(FileExistsError, match="overwrite=True"):
        report.to_html(tmp_path / "report.html")


@pytest.mark.parametrize("channels", ["together", "apart"])
@pytest.mark.trains
def test_a_channel_of_a_camera(channels: str) -> None:
    rng = np.random.default_rng(0)
    noisy = (2.0 * rng.poisson(scene(64) / 2, size=(2, 2, 64, 64)) + 100).astype(np.uint16)
    noise = PoissonGaussian(2.0, 3.0, offset=100.0)
    denoiser = ImageDenoiser(noise, widths=(4, 6), channels=channels).fit(noisy, axes="TCYX", max_steps=3, patch=24)
    report = denoiser.report(noisy, axes="TCYX", channel=1)
    np.testing.assert_allclose(report.assumed, 2 * (report.means - 100) + 9, rtol=1e-3)
    assert report.before.shape == report.after.shape == (64, 64)
    assert report.noise.endswith("after subtraction of the offset 100")  # the channel of the network has none
    with pytest.raises(ValueError, match="channel is 2"):
        denoiser.report(noisy, axes="TCYX", channel=2)


def test_networks_of_the_transport_are_not_judged() -> None:
    images = np.random.default_rng(0).normal(100, 20, size=(4, 40, 40))
    denoiser = ImageDenoiser(Gaussian(10.0), widths=(2, 4), anchor_weight=0, consistency_weight=1)
    with pytest.raises(ValueError, match="trained for the transport"):
        denoiser.fit(images, max_steps=1, patch=16).report(images)


def test_autocorrelation_of_smoothed_noise_has_its_closed_form() -> None:
    white = np.random.default_rng(0).normal(size=(4, 128, 129))
    found = _autocorrelation(white[..., 1:] + white[..., :-1])
    assert found.shape == (17, 17)
    np.testing.assert_allclose(found[8, 7:10], [0.5, 1, 0.5], atol=0.03)
    np.testing.assert_allclose(found[9, 7:10], 0, atol=0.03)


def test_pointwise_risks_average_to_the_loss() -> None:
    from scif.fields.images._units import InUnits

    noise = InUnits(Gaussian(20.0), offset=100.0, scale=50.0)
    x1 = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    risk = make_risk(noise, x1, fraction=0.9)
    draws = [torch.Generator().manual_seed(1) for _ in range(2)]
    pointwise = risk.pointwise(lambda x, t: 0.5 * x, x1, generator=draws[0])
    assert pointwise.shape == x1.shape
    assert torch.equal(pointwise.mean(), risk(lambda x, t: 0.5 * x, x1, generator=draws[1]).loss)  # type: ignore[arg-type]
