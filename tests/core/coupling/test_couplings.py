"""Couplings keep their batches, and shorten the way where they promise to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scif.core import (
    ChannelCoupling,
    Coupled,
    Coupling,
    GibbsKernel,
    Independent,
    MinibatchOT,
    NearestNoise,
    Reflow,
    Uniform,
    Velocity,
)
from scif.core.noise import NoiseModel
from scif.nn import TimeMLP


class Shift(NoiseModel):
    """Adds noise of scale 0.1."""

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return x0 + 0.1 * torch.randn(x0.shape, generator=generator)


def untrained() -> Velocity:
    return Velocity(TimeMLP(3, hidden=8, depth=1), noise_scale=2.0)


ALL: dict[str, Coupling] = {
    "independent": Independent(),
    "transport": MinibatchOT(),
    "regularized": MinibatchOT(regularization=0.05),
    "gibbs": GibbsKernel(),
    "nearest": NearestNoise(),
    "reflow": Reflow(untrained(), grid=Uniform().grid(4)),
    "channel": ChannelCoupling(Shift()),
}


def batches(n: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=generator), torch.randn(n, 3, generator=generator)


def cost(pairs: Coupled) -> float:
    squared = (pairs.x0 - pairs.x1).square().sum(1)
    return (squared if pairs.weights is None else squared * pairs.weights).mean().item()


@pytest.mark.trains
@pytest.mark.parametrize("name", ALL)
def test_shapes_determinism_and_untouched_global_state(name: str) -> None:
    x0, _ = batches()
    state = torch.get_rng_state()
    a, b, c = (ALL[name](x0, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert a.x0.shape == a.x1.shape == x0.shape
    assert torch.equal(a.x1, b.x1)
    assert not torch.equal(a.x1, c.x1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", [name for name in ALL if name != "reflow"])
def test_order_of_the_data_is_kept(name: str) -> None:
    x0, _ = batches()
    assert torch.equal(ALL[name](x0, generator=torch.Generator().manual_seed(1)).x0, x0)


def test_optimal_transport_is_the_cheapest_permutation() -> None:
    x0, x1 = batches()
    pairs = MinibatchOT()(x0, x1)
    assert torch.equal(pairs.x1.sort(0).values, x1.sort(0).values)
    assert cost(pairs) < 0.5 * cost(Independent()(x0, x1))
    # in one dimension the optimum is known: sorted with sorted
    a, b = x0[:, :1], x1[:, :1]
    order = MinibatchOT()(a, b).x1[a.flatten().argsort()].flatten()
    torch.testing.assert_close(order, b.flatten().sort().values)


def test_regularized_transport_lies_between_exact_and_independent() -> None:
    x0, x1 = batches()
    generator = torch.Generator().manual_seed(0)
    costs = [cost(MinibatchOT(regularization=r)(x0, x1, generator=generator)) for r in (0.0, 0.05, 0.3)]
    assert costs == sorted(costs)
    assert costs[-1] < cost(Independent()(x0, x1))


def test_transport_works_on_images() -> None:
    x0, x1 = batches(60)
    flat = MinibatchOT()(x0, x1).x1
    image = MinibatchOT()(x0.reshape(60, 1, 3, 1), x1.reshape(60, 1, 3, 1)).x1
    assert torch.equal(image.reshape(60, 3), flat)


def test_gibbs_weights_follow_the_kernel() -> None:
    x0, x1 = batches()
    pairs = GibbsKernel(epsilon=2.0)(x0, x1)
    squared = (x0 - x1).square().sum(1)
    assert pairs.weights is not None
    assert pairs.weights.mean().item() == pytest.approx(1.0)
    log_ratio = (pairs.weights / pairs.weights[0]).log()
    torch.testing.assert_close(log_ratio, -(squared - squared[0]) / (2.0 * squared.mean()), rtol=1e-4, atol=1e-5)
    assert cost(pairs) < cost(Independent()(x0, x1))
    nearly_independent = GibbsKernel(epsilon=1e6)(x0, x1).weights
    torch.testing.assert_close(nearly_independent, torch.ones(64), rtol=0, atol=1e-4)
    assert torch.equal(GibbsKernel()(x0, x0).weights, torch.ones(64))


def test_nearest_noise_interpolates_from_independent_to_nearest() -> None:
    x0, x1 = batches(256)
    generator = torch.Generator().manual_seed(0)
    costs = [cost(NearestNoise(candidates=k)(x0, x1, generator=generator)) for k in (256, 16, 4, 1)]
    assert costs == sorted(costs)
    nearest = torch.cdist(x0, x1).min(1).values.square().mean().item()
    assert costs[0] == pytest.approx(nearest, rel=1e-4)
    chosen = NearestNoise(candidates=4)(x0, x1, generator=generator).x1
    assert bool((chosen.unsqueeze(1) == x1).all(2).any(1).all())


def test_reflow_pairs_follow_the_flow() -> None:
    """The untrained velocity is linear: its clean ends are the noise, shrunk by the exact slope."""
    pairs = Reflow(untrained(), grid=Uniform().grid(50), method="heun")(*batches())
    torch.testing.assert_close(pairs.x0, pairs.x1 / 5.0**0.5, rtol=1e-3, atol=1e-3)
    assert not pairs.x0.requires_grad


def test_channel_draws_the_observation() -> None:
    x0, x1 = batches()
    pairs = ChannelCoupling(Shift())(x0, generator=torch.Generator().manual_seed(1))
    assert torch.equal(pairs.x1, Shift().sample(x0, generator=torch.Generator().manual_seed(1)))
    with pytest.raises(ValueError, match="leave x1 out"):
        ChannelCoupling(Shift())(x0, x1)


def test_bad_arguments() -> None:
    x0, x1 = batches()
    with pytest.raises(ValueError, match="x0 has shape"):
        Independent()(x0, x1[:5])
    with pytest.raises(ValueError, match="candidates is 65 but the batch has 64"):
        NearestNoise(candidates=65)(x0, x1)
    with pytest.raises(ValueError, match="candidates is 0"):
        NearestNoise(candidates=0)
    with pytest.raises(ValueError, match="epsilon"):
        GibbsKernel(epsilon=0.0)
    with pytest.raises(ValueError, match="regularization"):
        MinibatchOT(regularization=-1.0)
