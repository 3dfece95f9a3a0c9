"""Laws of the Fourier neural operator."""

from __future__ import annotations

import pytest
import torch

from scif.nn.fno import FNO, SpectralConv2d


def band_limited(size: int, modes: int, channels: int = 2) -> torch.Tensor:
    """The same random field on any grid that resolves ``modes``."""
    small = torch.randn(1, channels, 2 * modes + 1, modes + 1, dtype=torch.complex64, generator=rng())
    full = torch.zeros(1, channels, size, size // 2 + 1, dtype=torch.complex64)
    full[:, :, torch.arange(-modes, modes + 1) % size, : modes + 1] = small
    return torch.fft.irfft2(full, s=(size, size), norm="forward")


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def trained_like(net: torch.nn.Module) -> torch.nn.Module:
    """Weights as after training: none of them zero."""
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=rng()))
    return net


def test_identity_weights_are_a_low_pass_filter() -> None:
    conv = SpectralConv2d(2, 2, modes=3)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[..., 0] = torch.eye(2)
    low = band_limited(16, 3)
    x, y = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    high = torch.cos(2 * torch.pi * (5 * x + y) / 16)
    torch.testing.assert_close(conv(low + high), low, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fine", [24, 36])
def test_spectral_convolution_does_not_depend_on_the_grid(fine: int) -> None:
    conv = SpectralConv2d(2, 3, modes=4)
    coarse = conv(band_limited(12, 4))
    torch.testing.assert_close(
        conv(band_limited(fine, 4))[..., :: fine // 12, :: fine // 12], coarse, atol=1e-4, rtol=0
    )


def test_spectral_convolution_of_a_field_with_fewer_modes_than_weights() -> None:
    conv = SpectralConv2d(1, 1, modes=9)
    assert conv(torch.randn(1, 1, 4, 5, generator=rng())).shape == (1, 1, 4, 5)


@pytest.mark.parametrize("size", [(16, 16), (15, 20)])
def test_network_commutes_with_periodic_shifts(size: tuple[int, int]) -> None:
    net = trained_like(FNO(2, 1, width=6, modes=5, depth=2))
    x, t = torch.randn(3, 2, *size, generator=rng()), torch.tensor([0.1, 0.5, 1.0])
    shifted = net(x.roll((3, -2), (-2, -1)), t)
    torch.testing.assert_close(shifted, net(x, t).roll((3, -2), (-2, -1)), atol=1e-4, rtol=1e-4)


def test_smooth_fields_give_nearly_the_same_output_on_a_finer_grid() -> None:
    net = trained_like(FNO(2, 1, width=6, modes=4, depth=2))
    t = torch.ones(1)
    coarse, fine = net(band_limited(32, 2) / 10, t), net(band_limited(64, 2) / 10, t)[..., ::2, ::2]
    assert (fine - coarse).norm() < 0.02 * coarse.norm()


def test_untrained_network_returns_zero_and_a_trained_one_depends_on_time() -> None:
    x = torch.randn(2, 1, 8, 8, generator=rng())
    net = FNO(width=4, modes=3, depth=1)
    assert not net(x, torch.ones(2)).any()
    net = trained_like(net)
    assert (net(x, torch.tensor(0.2)) - net(x, torch.tensor(0.9))).abs().max() > 1e-3
    torch.testing.assert_close(net(x, torch.tensor(0.2)), net(x, torch.tensor([0.2, 0.2])))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="modes is 0"):
        FNO(modes=0)
    with pytest.raises(ValueError, match=r"\(batch, 1, height, width\)"):
        FNO(width=4, modes=3, depth=1)(torch.zeros(2, 8, 8), torch.ones(2))
