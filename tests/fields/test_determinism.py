"""What a result of images and flows does not depend on: threads, batches, tiles, and what else is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from scif.core.noise import Gaussian
from scif.fields.fluids import FluidInverter, laminar
from scif.fields.images import ImageDenoiser

ROUNDING = 1e-5
"""Largest difference, in units of the noise or the fields: sums of single precision in another order."""
SIGMA = 10.0


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@cache
def images() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(4, 40, 52))
    return (100 + SIGMA * noise).astype("f4")


@cache
def finals() -> Tensor:
    return laminar(cutoff=4).draw(12, 16, generator=torch.Generator().manual_seed(0)).final


def denoiser(threads: int) -> ImageDenoiser:
    torch.set_num_threads(threads)
    how = {"max_steps": 3, "batch_size": 2, "patch": 16}
    return ImageDenoiser(Gaussian(SIGMA), widths=(4, 8), num_steps=2).fit(images(), **how)


def inverter(threads: int) -> FluidInverter:
    torch.set_num_threads(threads)
    made = FluidInverter(laminar(sigma=0.05).channel, width=4, depth=1, modes=4)
    return made.fit(finals(), max_steps=3, batch_size=4).fit_spread(finals(), max_steps=3, batch_size=4, rounds=2)


@cache
def fitted() -> tuple[ImageDenoiser, FluidInverter]:
    return denoiser(1), inverter(1)


@pytest.mark.trains
def test_one_seed_and_one_number_of_threads_give_the_same_bits() -> None:
    for threads in (1, 3):
        first, second = (denoiser(threads).denoise(images()) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        one, other = (inverter(threads).invert(finals(), return_std=True) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.trains
@pytest.mark.parametrize("threads", [2, 3])
def test_other_threads_differ_by_rounding(threads: int) -> None:
    """Convolutions and Fourier transforms share their sums out among threads; three steps of training add it up."""
    one, flow = fitted()
    found = denoiser(threads).denoise(images())
    np.testing.assert_allclose(found, one.denoise(images()), atol=ROUNDING * 10 * SIGMA)
    torch.testing.assert_close(inverter(threads).invert(finals()), flow.invert(finals()), atol=ROUNDING, rtol=0)
    torch.set_num_threads(threads)
    np.testing.assert_allclose(one.denoise(images()), one.denoise(images(), batch_size=1), atol=ROUNDING * SIGMA)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_no_batch_at_inference_matters_beyond_rounding(batch_size: int) -> None:
    one, flow = fitted()
    tiles = {"tile": 40, "overlap": 16}
    whole = one.denoise(images(), **tiles)
    np.testing.assert_allclose(one.denoise(images(), batch_size=batch_size, **tiles), whole, atol=ROUNDING * SIGMA)
    np.testing.assert_allclose(one.denoise(images()[2], **tiles), whole[2], atol=ROUNDING * SIGMA)
    for a, b in zip(
        flow.invert(finals(), batch_size=batch_size, return_std=True),
        flow.invert(finals(), return_std=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=ROUNDING, rtol=0)


def test_a_draw_depends_on_no_other() -> None:
    _, flow = fitted()

    def draw(rows: list[int], num_draws: int) -> Tensor:
        return flow.sample(finals()[rows], num_draws=num_draws, generator=torch.Generator().manual_seed(1))

    every = draw(list(range(12)), 4)
    for rows, count in (([7], 4), ([11, 0, 7], 2), (list(range(12)), 1)):
        torch.testing.assert_close(draw(rows, count), every[:count, rows], atol=ROUNDING, rtol=0)
    assert float((every[0] - every[1]).abs().mean()) > 100 * ROUNDING
    assert float((every[0, 0] - every[0, 1]).abs().mean()) > 100 * ROUNDING
