"""Laws of the U-Net: any size, equivariance, the stated receptive field, and what it starts as."""

from __future__ import annotations

import pytest
import torch

from scif.nn.unet import UNet


def trained_looking(net: UNet, *, seed: int = 0) -> UNet:
    """The network with random numbers in place of its zero initialisations."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1, generator=generator)
    return net.double().eval()


@pytest.mark.parametrize(("ndim", "size"), [(2, (1, 1)), (2, (2, 3)), (2, (13, 29)), (3, (3, 7, 10)), (3, (1, 2, 5))])
def test_any_size_in_is_the_same_size_out(ndim: int, size: tuple[int, ...]) -> None:
    net = trained_looking(UNet(2, 3, ndim=ndim, widths=(4, 6, 8)))
    x = torch.randn(2, 2, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    out = net(x, torch.tensor([0.2, 1.0]))
    assert out.shape == (2, 3, *size)
    assert torch.isfinite(out).all()


def test_starts_as_zero() -> None:
    net = UNet(1, widths=(4, 8))
    assert not net(torch.randn(1, 1, 8, 8), torch.ones(1)).any()


@pytest.mark.parametrize(("ndim", "factor"), [(2, 2), (3, (1, 2, 2))])
def test_receptive_field_is_the_stated_one(ndim: int, factor: int | tuple[int, ...]) -> None:
    net = trained_looking(UNet(1, ndim=ndim, widths=(3, 4), factor=factor))
    reach = net.receptive_field
    size = [2 * r + 2 * m + 1 for r, m in zip(reach, net.multiple, strict=True)]
    centre = tuple(n // 2 // m * m for n, m in zip(size, net.multiple, strict=True))
    touched: list[int] = []
    for shift in range(net.multiple[-1]):  # the extent depends on the position within the grid
        x = torch.randn(1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
        at = (*centre[:-1], centre[-1] + shift)
        (gradient,) = torch.autograd.grad(net(x, torch.ones(()))[(0, 0, *at)], x)
        columns = gradient[0, 0].flatten(0, -2).abs().sum(0).nonzero().flatten()
        touched += [at[-1] - int(columns.min()), int(columns.max()) - at[-1]]
    assert max(touched) == reach[-1]


def test_shifting_the_input_shifts_the_output() -> None:
    net = trained_looking(UNet(1, widths=(3, 4, 5)))
    reach, step = net.receptive_field[0], net.multiple[0]
    x = torch.randn(1, 1, 2 * reach + 40, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    t = torch.full((1,), 0.7)
    shifted = net(x[:, :, step:], t)
    inner = slice(reach, reach + 20)
    torch.testing.assert_close(net(x, t)[:, :, reach + step : reach + step + 20], shifted[:, :, inner])


def test_time_matters_only_through_its_own_sample() -> None:
    net = trained_looking(UNet(1, widths=(3, 4)))
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).expand(2, 1, 8, 8)
    out = net(x, torch.tensor([0.1, 0.9]))
    assert not torch.allclose(out[0], out[1])
    torch.testing.assert_close(out[1:], net(x[1:], torch.tensor(0.9)))


def test_gradients_reach_every_parameter() -> None:
    net = trained_looking(UNet(1, ndim=3, widths=(3, 4), blocks=2, factor=(1, 2, 2)))
    net(torch.randn(1, 1, 3, 8, 8, dtype=torch.float64), torch.ones(1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ndim": 4}, "ndim is 4"),
        ({"widths": ()}, "widths"),
        ({"factor": (2, 2, 2)}, "factor"),
        ({"blocks": 0}, "blocks"),
    ],
)
def test_bad_options_are_named(options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        UNet(1, **options)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2, 8, 8\).*1 channels"):
        UNet(1, widths=(3,))(torch.zeros(1, 2, 8, 8), torch.ones(1))
