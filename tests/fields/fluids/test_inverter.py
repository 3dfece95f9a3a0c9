"""Inversion from final fields alone: it learns, runs at other resolutions, and is saved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scif.fields.fluids import (
    FlowConsistency,
    FlowPairs,
    FluidInverter,
    NavierStokes2D,
    NavierStokesChannel,
    backward_integration,
    laminar,
    random_vorticity,
    relative_l2,
)
from scif.nn.fno import FNO

CASE = laminar(viscosity=0.15, duration=0.5, cutoff=3)
SMALL = {"width": 12, "modes": 4, "depth": 2}


def draw(n: int, size: int = 16, seed: int = 0) -> FlowPairs:
    return CASE.draw(n, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def plain() -> FluidInverter:
    """The method as published, on fields of 16 x 16."""
    inverter = FluidInverter(CASE.channel, start="identity", **SMALL)
    return inverter.fit(draw(128).final, max_steps=100, batch_size=16, lr=6e-3)


@pytest.mark.trains
def test_icm_learns_the_inverse_from_final_fields_alone(plain: FluidInverter) -> None:
    fresh = draw(16, seed=1)
    before, after = relative_l2(fresh.final, fresh.initial), relative_l2(plain.invert(fresh.final), fresh.initial)
    assert after.mean() < 0.35 * before.mean()


@pytest.mark.trains
def test_trained_at_one_resolution_runs_at_another(plain: FluidInverter) -> None:
    coarse, fine = draw(8, seed=1), draw(8, size=32, seed=1)
    at_coarse, at_fine = plain.invert(coarse.final), plain.invert(fine.final)
    assert (relative_l2(at_fine[:, ::2, ::2], at_coarse) < 0.03).all()  # the network's own aliases, at 16 points


@pytest.mark.trains
def test_misfit_needs_no_truth_and_refinements_lower_it(plain: FluidInverter) -> None:
    fresh = draw(8, seed=2)
    rough, refined = plain.invert(fresh.final), plain.invert(fresh.final, refinements=3)
    assert (plain.misfit(refined, fresh.final) <= plain.misfit(rough, fresh.final)).all()
    assert relative_l2(refined, fresh.initial).mean() < 0.5 * relative_l2(rough, fresh.initial).mean()
    assert (plain.misfit(fresh.initial, fresh.final) < 1e-5).all()


@pytest.mark.trains
def test_ifm_learns_the_inverse_too() -> None:
    inverter = FluidInverter(CASE.channel, method="ifm", num_steps=3, **SMALL)
    inverter.fit(draw(64).final, max_steps=30, batch_size=16, lr=6e-3)
    fresh = draw(16, seed=1)
    before, after = relative_l2(fresh.final, fresh.initial), relative_l2(inverter.invert(fresh.final), fresh.initial)
    assert after.mean() < 0.8 * before.mean()


@pytest.mark.trains
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_training_from_the_backward_integration_does_not_lose_what_it_has(sigma: float) -> None:
    case = laminar(sigma=sigma, cutoff=4)
    train, fresh = (case.draw(n, 16, generator=torch.Generator().manual_seed(n)) for n in (64, 16))
    inverter = FluidInverter(case.channel, **SMALL)
    after = inverter.fit(train.final, max_steps=12, lr=6e-3).invert(fresh.final)
    before = inverter._untrained(inverter._about)
    untrained = before.estimate(before.channel.encode(fresh.final)) * before.channel.state
    errors = [relative_l2(estimate, fresh.initial).mean() for estimate in (after, untrained)]
    assert errors[0] < 1.02 * errors[1]


@pytest.mark.trains
def test_training_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    final, state = draw(32).final, torch.get_rng_state()
    first, second, other = (
        FluidInverter(CASE.channel, seed=seed, **SMALL).fit(final, max_steps=2).invert(final[:2]) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_saved_and_loaded_is_the_same(plain: FluidInverter, tmp_path) -> None:
    path, final = tmp_path / "inverter.safetensors", draw(2, seed=3).final
    plain.save(path)
    again = FluidInverter.load(path)
    assert torch.equal(again.invert(final), plain.invert(final))
    assert torch.equal(again.misfit(final, final), plain.misfit(final, final))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        plain.save(path)


def test_array_in_array_out(plain: FluidInverter) -> None:
    final = draw(3, seed=3).final
    inverted = plain.invert(final.double().numpy())
    assert isinstance(inverted, np.ndarray)
    assert inverted.dtype == np.float64
    np.testing.assert_allclose(inverted, plain.invert(final).numpy(), rtol=1e-6)
    np.testing.assert_allclose(plain.invert(final[0]).numpy(), inverted[0], rtol=1e-3, atol=1e-4)


def test_the_mean_is_kept_and_shifts_commute(plain: FluidInverter) -> None:
    final = draw(2, seed=3).final + 0.01
    inverted = plain.invert(final)
    torch.testing.assert_close(inverted.mean((-2, -1)), final.mean((-2, -1)))
    torch.testing.assert_close(
        plain.invert(final.roll((3, 5), (1, 2))), inverted.roll((3, 5), (1, 2)), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("start", ["identity", "backward"])
def test_consistency_function_before_training(start) -> None:
    channel = NavierStokesChannel(NavierStokes2D(0.03), 0.2)
    c = FlowConsistency(FNO(2 if start == "backward" else 1, width=4, modes=3, depth=1), channel, start=start)
    x = random_vorticity(3, 24, generator=torch.Generator().manual_seed(0)) + 0.5
    torch.testing.assert_close(c(x, 0.0), x, rtol=1e-4, atol=1e-4)
    t = torch.tensor([0.0, 0.4, 1.0])
    expected = x if start == "identity" else backward_integration(x, channel.solver, 0.2 * t)
    torch.testing.assert_close(c(x, t), expected, rtol=1e-4, atol=1e-4)
    torch.nn.init.ones_(c.net.project[-1].weight)
    torch.testing.assert_close(c(x, 0.0), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(c(x, 1.0).mean((-2, -1)), x.mean((-2, -1)))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.randn(8, 1, 16, 16), r"\(8, 1, 16, 16\); pass vorticity as \(n, height, width\)"),
        (torch.full((8, 16, 16), torch.nan), "NaN"),
        (torch.ones(8, 16, 16), "deviation of 0"),
        (torch.randn(1, 16, 16), "1 fields"),
    ],
)
def test_bad_fields_are_named(bad, message) -> None:
    with pytest.raises(ValueError, match=message):
        FluidInverter(CASE.channel, **SMALL).fit(bad, max_steps=1)


def test_bad_settings_are_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="method is 'gct'"):
        FluidInverter(CASE.channel, method="gct")
    with pytest.raises(ValueError, match="method='ifm'"):
        FluidInverter(CASE.channel, method="ifm", start="backward")
    with pytest.raises(TypeError, match="one number for all samples"):
        FluidInverter(NavierStokesChannel(NavierStokes2D(torch.tensor([0.1, 0.2])), 1.0))
    with pytest.raises(RuntimeError, match="not trained"):
        FluidInverter(CASE.channel).invert(torch.randn(2, 16, 16))
    foreign = tmp_path / "other.safetensors"
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, foreign)
    with pytest.raises(ValueError, match="no description by scif"):
        FluidInverter.load(foreign)


@pytest.mark.slow
def test_trained_at_64_runs_at_128() -> None:
    case = laminar()
    coarse, fine = (case.draw(32, n, generator=torch.Generator().manual_seed(1)) for n in (64, 128))
    train = case.draw(64, 64, generator=torch.Generator().manual_seed(0))
    inverter = FluidInverter(case.channel, start="identity", width=12, depth=3).fit(train.final, max_steps=80, lr=6e-3)
    at_coarse, at_fine = inverter.invert(coarse.final), inverter.invert(fine.final)
    assert (relative_l2(at_fine[:, ::2, ::2], at_coarse) < 0.02).all()
    before, after = relative_l2(fine.final, fine.initial), relative_l2(at_fine, fine.initial)
    assert after.mean() < 0.7 * before.mean()
