"""Observations, periodicity, other simulators and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr

from scif.core.noise import Gaussian, Simulator
from scif.fields.fluids import (
    Coarse,
    FluidInverter,
    Gaps,
    Masked,
    NavierStokes2D,
    NavierStokesChannel,
    Velocities,
    broken_axes,
    fill_gaps,
    laminar,
    random_vorticity,
    read_fields,
    relative_l2,
    turbulent,
    window,
    write_fields,
)
from scif.fields.fluids.chain import lift

FLOW = NavierStokesChannel(NavierStokes2D(0.15), 0.5)
SMALL = {"width": 8, "modes": 4, "depth": 2}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fields(n: int = 4, size: int = 32, cutoff: int = 3) -> torch.Tensor:
    return random_vorticity(n, size, cutoff=cutoff, generator=rng())


@pytest.mark.parametrize("observation", [Velocities(), Coarse(4), Coarse(3)])
def test_lifting_undoes_what_loses_nothing(observation) -> None:
    x0 = fields(size=36) if observation.extra_repr() == "factor=3" else fields()
    torch.testing.assert_close(observation.lift(observation.sample(x0)), x0, rtol=1e-4, atol=1e-4)


def test_gaps_have_their_share_and_keep_values_elsewhere() -> None:
    x0 = fields(64)
    seen = Gaps(0.3, 6).sample(x0, generator=rng())
    values, mask = seen[:, 0], seen[:, 1].bool()
    assert float(mask.float().mean()) == pytest.approx(0.7, abs=0.03)
    assert torch.equal(values[mask], x0[mask])
    assert not values[~mask].any()
    assert torch.equal(Gaps(0.3, 6).observe(x0, seen), seen)


def test_gaps_of_a_smooth_field_are_filled_closely() -> None:
    x0, mask = fields(cutoff=2), torch.ones(4, 32, 32, dtype=torch.bool)
    mask[:, 10:14, 10:14] = False
    filled = fill_gaps(torch.where(mask, x0, 99.0), mask)
    assert torch.equal(filled[mask], x0[mask])
    assert (filled - x0)[~mask].square().mean() < 0.1 * x0.square().mean()


def test_observations_compose_with_noise_and_keep_density_and_moments() -> None:
    x0 = fields()
    channel = Gaussian(0.5) @ Velocities() @ FLOW
    x1 = channel.sample(x0, generator=rng())
    assert x1.shape == (4, 2, 32, 32)
    mean = channel.moments(x0).mean
    torch.testing.assert_close(mean, Velocities().sample(FLOW.sample(x0)))
    torch.testing.assert_close(channel.log_prob(x1, x0), torch.distributions.Normal(mean, 0.5).log_prob(x1))


def _channels() -> list:
    mask = torch.ones(16, 16, dtype=torch.bool)
    mask[4:8, 4:8] = False
    noise = Gaussian(0.05)
    seen = [noise @ Masked(mask) @ FLOW, noise @ Coarse(2) @ FLOW, noise @ Velocities() @ FLOW]
    return [*seen, Gaps(0.2, 3) @ noise @ FLOW]


@pytest.mark.parametrize("index", range(4))
@pytest.mark.trains
def test_every_observation_is_inverted_better_than_it_is_seen(index: int) -> None:
    channel, case = _channels()[index], laminar(viscosity=0.15, duration=0.5, cutoff=3)
    train, test = (case.draw(n, 16, generator=rng(n)).initial for n in (96, 16))
    seen = channel.sample(test, generator=rng(5))
    inverter = FluidInverter(channel, **SMALL).fit(channel.sample(train, generator=rng(6)), max_steps=30, lr=6e-3)
    estimate = inverter.invert(seen)
    assert estimate.shape == test.shape
    seen_as_field = lift(channel, seen).field
    assert relative_l2(estimate, test).mean() < 0.9 * relative_l2(seen_as_field, test).mean()
    assert inverter.misfit(estimate, seen).shape == (16,)
    assert len(inverter.history_["loss"]) == 30


def test_nan_are_gaps_where_the_channel_has_gaps() -> None:
    channel = Gaps(0.2, 3) @ FLOW
    seen = channel.sample(fields(32, 16), generator=rng())
    inverter = FluidInverter(channel, **SMALL).fit(seen, max_steps=2)
    holes = torch.where(seen[:, 1].bool(), seen[:, 0], torch.nan)
    assert torch.equal(inverter.invert(holes), inverter.invert(seen))
    with pytest.raises(ValueError, match="NaN"):
        FluidInverter(FLOW, **SMALL).fit(holes, max_steps=1)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.trains
def test_any_simulator_is_inverted(noise: bool) -> None:
    solver = NavierStokes2D(0.15)
    channel = Simulator(lambda x: solver.solve(x, 0.5))
    channel = Gaussian(0.02) @ channel if noise else channel.function
    case = laminar(viscosity=0.15, duration=0.5, cutoff=3)
    train, test = (case.draw(n, 16, generator=rng(n)) for n in (64, 16))
    inverter = FluidInverter(channel, **SMALL).fit(train.final, max_steps=60, lr=6e-3)
    assert (
        relative_l2(inverter.invert(test.final), test.initial).mean()
        < 0.8 * relative_l2(test.final, test.initial).mean()
    )


def test_states_with_channels_and_saving_with_the_simulator_given_again(tmp_path) -> None:
    def blur(x: torch.Tensor) -> torch.Tensor:
        return (x + x.roll(1, -1) + x.roll(1, -2)) / 3

    states = torch.randn(32, 2, 12, 12, generator=rng()) + 1
    inverter = FluidInverter(blur, **SMALL).fit(blur(states), max_steps=2)
    assert inverter.invert(blur(states)).shape == states.shape
    assert inverter.invert(blur(states)[0]).shape == states.shape[1:]
    inverter.save(tmp_path / "i.safetensors")
    with pytest.raises(ValueError, match="pass it as channel="):
        FluidInverter.load(tmp_path / "i.safetensors")
    again = FluidInverter.load(tmp_path / "i.safetensors", channel=blur)
    assert torch.equal(again.invert(states), inverter.invert(states))


def test_windows_of_a_larger_flow_are_refused_or_tapered() -> None:
    big = turbulent(cutoff=5).draw(32, 64, generator=rng()).final
    crop = big[:, :32, :32]
    channel = NavierStokesChannel(NavierStokes2D(0.005, length=math.pi), 0.1)
    assert broken_axes(big) == []
    assert broken_axes(crop) == ["y", "x"]
    assert broken_axes(window(crop)) == []
    with pytest.raises(ValueError, match="along y and x.*boundary='window'"):
        FluidInverter(channel, **SMALL).fit(crop, max_steps=1)
    with pytest.warns(UserWarning, match="tapered"):
        FluidInverter(channel, boundary="window", **SMALL).fit(crop, max_steps=1)


@pytest.mark.parametrize("sigma", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("n", [1, 16])
def test_periodic_fields_are_never_refused(n: int, sigma: float) -> None:
    for seed in range(40):
        for cutoff in (2, 6, 10):
            flow = random_vorticity(n, 32, cutoff=cutoff, generator=rng(seed))
            assert broken_axes(flow + sigma * flow.std() * torch.randn(flow.shape, generator=rng(seed))) == []


def test_labels_go_in_and_come_out(tmp_path) -> None:
    final = FLOW.sample(fields(6, 16))
    points = np.arange(16) * 2 * math.pi / 16
    given = xr.DataArray(
        final.numpy().reshape(2, 3, 16, 16).transpose(2, 0, 3, 1),
        dims=("y", "run", "x", "time"),
        coords={"y": points, "x": points, "run": ["a", "b"]},
        attrs={"units": "s-1"},
        name="vorticity",
    )
    inverter = FluidInverter(FLOW, **SMALL).fit(given, max_steps=2)
    estimate = inverter.invert(given)
    assert estimate.dims == ("run", "time", "y", "x")
    assert estimate.attrs["units"] == "s-1"
    assert list(estimate.run.values) == ["a", "b"]
    np.testing.assert_allclose(estimate.values.reshape(6, 16, 16), inverter.invert(final).numpy(), atol=1e-5)
    write_fields(estimate, tmp_path / "a.nc")
    xr.testing.assert_equal(read_fields(tmp_path / "a.nc")["vorticity"], estimate)
    with pytest.raises(FileExistsError):
        write_fields(estimate, tmp_path / "a.nc")
    with pytest.raises(ValueError, match="rename those of space"):
        inverter.invert(given.rename(y="lat"))
    with pytest.raises(ValueError, match=r"spans a period of 12\.5"):
        inverter.invert(given.assign_coords(x=2 * points))
    with pytest.raises(ValueError, match="unevenly"):
        inverter.invert(given.assign_coords(x=points**2))


def test_velocities_come_as_u_and_v() -> None:
    channel = Velocities() @ FLOW
    seen = channel.sample(fields(8, 16))
    dims = ("time", "y", "x")
    data = xr.Dataset({"u": (dims, seen[:, 0].numpy()), "v": (dims, seen[:, 1].numpy())})
    data["u"].attrs["units"] = data["v"].attrs["units"] = "m s-1"
    inverter = FluidInverter(channel, **SMALL).fit(data, max_steps=2)
    estimate = inverter.invert(data)
    assert estimate.name == "vorticity"
    assert estimate.attrs["units"] == "s-1"
    np.testing.assert_allclose(estimate.values, inverter.invert(seen).numpy(), atol=1e-6)


@pytest.mark.trains
def test_spread_covers_the_truth_and_is_saved(tmp_path) -> None:
    case = laminar(viscosity=0.15, duration=0.5, sigma=0.1, cutoff=3)
    train, test = (case.draw(n, 16, generator=rng(n)) for n in (128, 32))
    inverter = FluidInverter(case.channel, **SMALL).fit(train.final, max_steps=60, lr=6e-3)
    with pytest.raises(RuntimeError, match="fit_spread"):
        inverter.invert(test.final, return_std=True)
    inverter.fit_spread(train.final, max_steps=40)
    mean, std = inverter.invert(test.final, return_std=True)
    covered = float(((mean - test.initial).abs() < 1.645 * std).float().mean())
    assert 0.8 < covered < 0.97
    draws = inverter.sample(test.final, num_draws=64, generator=rng())
    assert draws.shape == (64, 32, 16, 16)
    torch.testing.assert_close(draws.std(0).mean(), std.mean(), rtol=0.1, atol=0)
    inverter.save(tmp_path / "i.safetensors")
    again = FluidInverter.load(tmp_path / "i.safetensors")
    assert torch.equal(again.invert(test.final, return_std=True)[1], std)


@pytest.mark.trains
def test_simulated_fields_teach_the_spread_what_observations_do_not_hold(tmp_path) -> None:
    """Viscosity takes modes 3 to 5 below the noise: no estimate has them, and spread of estimates alone misses them."""
    case = laminar(viscosity=0.3, duration=1.0, sigma=0.1, cutoff=5)
    train, test, simulated = (case.draw(n, 16, generator=rng(n)) for n in (96, 32, 128))
    inverter = FluidInverter(case.channel, **SMALL).fit(train.final, max_steps=40, lr=6e-3)

    def covered() -> float:
        mean, std = inverter.invert(test.final, return_std=True)
        return float(((mean - test.initial).abs() < 1.645 * std).float().mean())

    inverter.fit_spread(train.final, max_steps=30)
    narrow = covered()
    inverter.fit_spread(train.final, initial=simulated.initial, max_steps=30)
    assert narrow < 0.8
    assert 0.85 < covered() < 0.95
    draws = inverter.sample(test.final, num_draws=32, generator=rng())
    std = inverter.invert(test.final, return_std=True)[1]
    torch.testing.assert_close(draws.std(0).mean(), std.mean(), rtol=0.1, atol=0)
