"""4D-Var and the ensemble smoother against the closed form of a linear Gaussian problem."""

from __future__ import annotations

import pytest
import torch

from scif.core.noise import Gaussian, Simulator
from scif.fields.fluids import Gaps, ensemble_smoother, four_d_var, random_vorticity, relative_l2


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wiener_solution(observed: torch.Tensor, climate: torch.Tensor, attenuation: float, sigma: float) -> torch.Tensor:
    from scif.fields.fluids.wiener import apply_shells, shell_power

    power = shell_power(climate)
    return apply_shells(observed, attenuation * power / (attenuation**2 * power + sigma**2))


def test_variational_solution_is_the_wiener_filter_of_a_linear_channel() -> None:
    climate = random_vorticity(64, 16, cutoff=3, generator=rng())
    channel = Gaussian(0.3) @ Simulator(lambda x: 0.5 * x)
    truth = random_vorticity(4, 16, cutoff=3, generator=rng(1))
    observed = channel.sample(truth, generator=rng(2))
    exact = wiener_solution(observed, climate, 0.5, 0.3)
    assert (relative_l2(four_d_var(observed, channel, climate, iterations=40), exact) < 1e-3).all()


@pytest.mark.trains
def test_smoother_with_many_members_is_the_wiener_filter_too() -> None:
    climate = random_vorticity(1500, 16, cutoff=2, generator=rng())
    channel = Gaussian(0.3) @ Simulator(lambda x: 0.5 * x)
    truth = random_vorticity(3, 16, cutoff=2, generator=rng(1))
    observed = channel.sample(truth, generator=rng(2))
    members = ensemble_smoother(observed, channel, climate, generator=rng(3))
    assert members.shape == (1500, 3, 16, 16)
    assert (relative_l2(members.mean(0), wiener_solution(observed, climate, 0.5, 0.3)) < 0.1).all()


def test_gaps_are_left_out() -> None:
    climate = random_vorticity(64, 16, cutoff=3, generator=rng())
    truth = random_vorticity(4, 16, cutoff=3, generator=rng(1))
    channel = Gaps(0.3, 2) @ Gaussian(0.05)
    observed = channel.sample(truth, generator=rng(2))
    assert (relative_l2(four_d_var(observed, channel, climate, iterations=40), truth) < 0.15).all()
