"""Tiles join: the same result as the whole image at once, for any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._tiles import plan_axis, run_tiled
from scif.nn.unet import UNet


@pytest.mark.parametrize("size", [1, 7, 32, 33, 100])
@pytest.mark.parametrize(
    ("tile", "overlap", "multiple"), [(32, 16, 1), (32, 8, 4), (500, 16, 8), (21, 0, 1), (56, 48, 2), (70, 64, 1)]
)
def test_weights_add_up_to_one_and_tiles_stay_on_the_grid(size: int, tile: int, overlap: int, multiple: int) -> None:
    plan = plan_axis(size, tile=tile, overlap=overlap, multiple=multiple)
    total = np.zeros(size + 2 * plan.length)
    for start, weights in zip(plan.starts, plan.weights, strict=True):
        assert start % multiple == 0
        assert plan.length % multiple == 0
        assert plan.length <= max(tile, multiple)
        total[plan.length + start : 2 * plan.length + start] += weights
    np.testing.assert_allclose(total[plan.length : plan.length + size], 1, atol=1e-6)


def tiled(
    image: np.ndarray, run, *, tile: int, overlap: int, multiple: tuple[int, ...], batch_size: int = 3
) -> np.ndarray:
    ndim = image.ndim - 1
    axes = Axes("C" + "ZYX"[-ndim:], ndim)
    source, target = ImageStack(image, axes), ImageStack(np.full_like(image, np.nan), axes)
    plan = [plan_axis(n, tile=tile, overlap=overlap, multiple=m) for n, m in zip(source.spatial, multiple, strict=True)]
    run_tiled(
        lambda region: source.read(0, region),
        run,
        lambda at, x: target.write(0, at, x),
        plan=plan,
        batch_size=batch_size,
    )
    return target.source


@pytest.mark.parametrize("shape", [(1, 50, 61), (2, 5, 90), (1, 13, 40, 33)])
def test_a_local_filter_sees_no_tiles(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def smooth(batch: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(batch, size=(1, 1, *[5] * (len(shape) - 1)), mode="constant")

    whole = ndimage.uniform_filter(image, size=(1, *[5] * (len(shape) - 1)), mode="mirror")
    result = tiled(image, smooth, tile=24, overlap=12, multiple=(1,) * (len(shape) - 1))
    np.testing.assert_allclose(result, whole, atol=1e-5)


def test_the_network_sees_no_tiles() -> None:
    torch.manual_seed(0)
    net = UNet(1, widths=(3, 4)).eval()
    torch.nn.init.normal_(net.last.weight)
    image = np.random.default_rng(0).normal(size=(1, 90, 70)).astype(np.float32)

    @torch.no_grad()
    def run(batch: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(batch), torch.ones(())).numpy()

    overlap = 3 * net.receptive_field[0]
    one = tiled(image, run, tile=1000, overlap=overlap, multiple=net.multiple)
    many = tiled(image, run, tile=overlap + 16, overlap=overlap, multiple=net.multiple)
    np.testing.assert_allclose(one, many, atol=1e-5)


def test_tiles_must_be_longer_than_their_overlap() -> None:
    with pytest.raises(ValueError, match="tile is 16 and overlap 16"):
        plan_axis(100, tile=16, overlap=16)
