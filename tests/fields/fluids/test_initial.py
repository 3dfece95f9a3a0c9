"""Random initial fields have the spectrum they were asked for."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from scif.fields.fluids import (
    SpectralGrid,
    energy,
    enstrophy,
    matern_spectrum,
    mcwilliams_spectrum,
    random_vorticity,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spectrum", [partial(mcwilliams_spectrum, peak=4.0), partial(matern_spectrum, scale=2.0)])
def test_energy_spectrum_is_the_one_given(spectrum) -> None:
    fields = random_vorticity(4000, 24, spectrum=spectrum, energy=2.0, generator=rng())
    grid = SpectralGrid.of((24, 24))
    kept = grid.resolved & (grid.k2 > 0)
    power = torch.fft.rfft2(fields).abs().square().mean(0)[kept]
    # energy per ring, shared by the 2 pi k modes of the ring, times k^2 / energy of a mode
    expected = (spectrum(grid.k2.sqrt().clamp_min(1)) * grid.k2.sqrt())[kept]
    torch.testing.assert_close(power / power.sum(), expected / expected.sum(), rtol=0.15, atol=0)
    assert (power.log() - expected.log()).std() < 0.03


@pytest.mark.parametrize("length", [2 * torch.pi, (1.0, 2.0)])
def test_total_energy_and_mean(length) -> None:
    fields = random_vorticity(4000, (32, 40), energy=0.8, length=length, generator=rng())
    assert energy(fields, length=length).mean() == pytest.approx(0.8, rel=0.02)
    assert fields.mean((-2, -1)).abs().max() < 1e-4 * fields.std()


def test_rows_and_columns_are_alike() -> None:
    fields = random_vorticity(2000, 16, generator=rng())
    along_x = torch.fft.rfft(fields, dim=-1).abs().square().mean((0, 1))
    along_y = torch.fft.rfft(fields, dim=-2).abs().square().mean((0, 2))
    torch.testing.assert_close(along_x[1:6], along_y[1:6], rtol=0.05, atol=0)


def test_generator_decides() -> None:
    state = torch.get_rng_state()
    a, b = (random_vorticity(2, 16, generator=rng(5)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(a, random_vorticity(2, 16, generator=rng(6)))


def test_same_field_at_every_size_and_type() -> None:
    coarse = random_vorticity(1, 24, cutoff=5, generator=rng(), dtype=torch.float64)
    fine = random_vorticity(1, 48, cutoff=5, generator=rng(), dtype=torch.float64)
    torch.testing.assert_close(fine[:, ::2, ::2], coarse)
    torch.testing.assert_close(enstrophy(fine), enstrophy(coarse))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"cutoff": 11}, r"cutoff in 1\.\.10"), ({"n": 0}, "n is 0"), ({"energy": 0.0}, "energy")],
)
def test_bad_arguments_are_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        random_vorticity(**({"n": 1, "size": 32} | arguments))
