"""Own channels and own networks in images: treated, named, saved and loaded as scif's own are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scif.core.noise import CorrelatedGaussian, Gaussian, NoiseModel, Poisson, register_channel, registry
from scif.fields.images import ImageDenoiser
from scif.fields.images._channel import find_noise, flip_axes
from scif.modelfile import ModelFileError

SHORT = {"max_steps": 2, "batch_size": 2, "patch": 16}
IMAGES = np.random.default_rng(0).normal(100, 20, size=(2, 32, 36)).astype(np.float32)
IMAGES += 40 * np.sin(np.arange(36) / 5, dtype=np.float32)


class Laplace(NoiseModel):
    """An own channel."""

    elementwise = True

    def __init__(self, scale: Any) -> None:
        super().__init__()
        self.register_buffer("scale", torch.as_tensor(scale))

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        magnitude = -self.scale * torch.log1p(-torch.rand(x0.shape, generator=generator))
        return x0 + magnitude * (2 * torch.randint(2, x0.shape, generator=generator) - 1)

    @classmethod
    def measure(cls, images: Sequence[NDArray[np.generic]]) -> Mapping[str, float]:
        details = np.concatenate([np.diff(image.astype(float), axis=0).ravel() for image in images])
        return {"scale": float(np.abs(details).mean()) / 1.5}


class Convolution(nn.Module):
    """An own network."""

    multiple = 2

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layer(x) * t.reshape(-1, 1, 1, 1)


@pytest.fixture
def names() -> Iterator[None]:
    """Names that a test registers go with it."""
    known = dict(registry._CHANNELS)
    yield
    registry._CHANNELS.clear()
    registry._CHANNELS.update(known)


def fitted(noise: Any, **options: Any) -> ImageDenoiser:
    return ImageDenoiser(noise, widths=(2, 3), blocks=1, **options).fit(IMAGES, **SHORT)


def test_an_own_channel_is_mirrored_as_the_built_in_ones() -> None:
    assert flip_axes(Laplace(1.0), 2) == flip_axes(Gaussian(1.0), 2) == (0, 1)


def test_a_channel_that_says_nothing_is_asked() -> None:
    class Silent(Laplace):
        elementwise = None

    with pytest.warns(UserWarning, match=r"Silent does not say .* `elementwise = True`"):
        assert flip_axes(Silent(1.0), 2) == ()


@pytest.mark.trains
@pytest.mark.usefixtures("names")
def test_an_own_channel_is_saved_and_loaded(tmp_path: Path) -> None:
    denoiser = fitted(Laplace(torch.tensor(14.0)))
    denoiser.save(tmp_path / "own")
    with pytest.raises(ModelFileError, match=r"Laplace, which has no registered name here; pass the channel as noise="):
        ImageDenoiser.load(tmp_path / "own")
    with pytest.raises(ModelFileError, match="noise is a scif.core.noise.gaussian.Gaussian, but the file holds"):
        ImageDenoiser.load(tmp_path / "own", noise=Gaussian(1.0))
    wanted = denoiser.denoise(IMAGES)
    for noise in (Laplace, Laplace(1.0)):
        loaded = ImageDenoiser.load(tmp_path / "own", noise=noise)
        np.testing.assert_array_equal(loaded.denoise(IMAGES), wanted)
        assert float(loaded.noise_[0].scale) == 14.0
    register_channel("laplace", Laplace)
    denoiser.save(tmp_path / "named")
    np.testing.assert_array_equal(ImageDenoiser.load(tmp_path / "named").denoise(IMAGES), wanted)


@pytest.mark.trains
@pytest.mark.usefixtures("names")
def test_an_own_channel_is_found_by_its_name_and_measures_itself() -> None:
    with pytest.raises(ValueError, match=r"'laplace'; .*register_channel\(name, class\)"):
        fitted("laplace")
    register_channel("laplace", Laplace)
    (channel,) = fitted("laplace").noise_
    assert type(channel) is Laplace
    assert float(channel.scale) == pytest.approx(15, rel=0.2)


@pytest.mark.usefixtures("names")
def test_a_named_channel_without_parameters_needs_no_measurement() -> None:
    from scif.fields.images._inputs import open_images

    stacks = [one.stack for one in open_images(IMAGES, axes=None, ndim=2)]

    class Plain(Gaussian):
        def __init__(self) -> None:
            super().__init__(20.0)

    register_channel("plain", Plain)
    assert type(find_noise("plain", stacks).noise) is Plain
    with pytest.raises(ValueError, match=r"Gamma has parameters but no classmethod measure"):
        find_noise("gamma", stacks)
    with pytest.warns(UserWarning, match="noise='rayleigh' is taken as Rayleigh"):
        find_noise("rayleigh", stacks)


@pytest.mark.trains
@pytest.mark.parametrize(
    "network", [Convolution, Convolution(), lambda channels: Convolution(channels)], ids=["class", "module", "function"]
)
def test_an_own_network_is_trained_saved_and_loaded(network: Any, tmp_path: Path) -> None:
    before = [p.clone() for p in network.parameters()] if isinstance(network, nn.Module) else []
    denoiser = fitted(Gaussian(20.0), network=network)
    assert type(denoiser.restorers_[0].model.net) is Convolution
    assert denoiser.restorers_[0].multiple == (2, 2)
    denoiser.save(tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"own network .*; pass it as network="):
        ImageDenoiser.load(tmp_path / "m")
    loaded = ImageDenoiser.load(tmp_path / "m", network=network)
    np.testing.assert_array_equal(loaded.denoise(IMAGES), denoiser.denoise(IMAGES))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters() if before else [], strict=True))
    with pytest.raises(ModelFileError, match="do not fit together"):
        ImageDenoiser.load(tmp_path / "m", network=lambda channels: nn.Conv2d(channels, 1, 5))


@pytest.mark.trains
def test_what_is_no_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="network is 'unet'; pass a module"):
        ImageDenoiser(Gaussian(1.0), network="unet")
    with pytest.raises(TypeError, match=r"network\(1\) gives a int"):
        fitted(Gaussian(20.0), network=lambda channels: channels)
    with pytest.raises(TypeError, match=r"define `forward\(self, x, t\)`"):
        fitted(Gaussian(20.0), network=lambda channels: nn.Conv2d(channels, channels, 3, padding=1))
    ImageDenoiser.load(_saved(tmp_path))
    with pytest.raises(ModelFileError, match="holds scif's own network; leave network= out"):
        ImageDenoiser.load(tmp_path / "m", network=Convolution)


def _saved(folder: Path) -> Path:
    fitted(Gaussian(20.0)).save(folder / "m")
    return folder / "m"


@pytest.mark.parametrize(
    "channel",
    [
        Gaussian(3.0) @ Poisson(torch.tensor([2.0])),
        CorrelatedGaussian(torch.ones(3, 1), 20.0, boundary="reflect"),
    ],
    ids=["chain", "correlated"],
)
def test_every_channel_of_the_core_comes_back(channel: NoiseModel) -> None:
    from scif.core.noise.record import from_record, to_record

    assert repr(from_record(to_record(channel))) == repr(channel)
