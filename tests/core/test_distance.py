"""Distances vanish at equality, are minimised where they should be, and do not depend on the size of a sample."""

from __future__ import annotations

import pytest
import torch

from scif.core import Distance, PoissonDeviance, PseudoHuber, SquaredError

DISTANCES = [SquaredError(), PseudoHuber(), PseudoHuber(c=2.0), PoissonDeviance()]


@pytest.mark.parametrize("distance", DISTANCES)
def test_zero_at_equality_and_positive_elsewhere(distance: Distance) -> None:
    x = torch.tensor([[0.5, 2.0, 3.0], [1.0, 1.0, 4.0]])
    assert distance(x, x).abs().max() < 1e-6
    assert bool((distance(x + 0.5, x) > 0).all())
    assert distance(x, x).shape == (2,)


@pytest.mark.parametrize("distance", DISTANCES)
def test_repeating_the_entries_changes_nothing(distance: Distance) -> None:
    a, b = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(distance(a.repeat(1, 5), b.repeat(1, 5)), distance(a, b))
    image = (a.reshape(4, 1, 3, 1), b.reshape(4, 1, 3, 1))
    torch.testing.assert_close(distance(*image), distance(a, b))


@pytest.mark.parametrize("distance", [SquaredError(), PoissonDeviance()])
def test_bregman_minimiser_is_the_mean(distance: Distance) -> None:
    targets = torch.tensor([[0.0], [1.0], [7.0], [4.0]], dtype=torch.float64)
    guesses = torch.linspace(0.5, 6.0, 1101, dtype=torch.float64)
    losses = torch.stack([distance(guess.expand(4, 1), targets).mean() for guess in guesses])
    assert guesses[losses.argmin()].item() == pytest.approx(3.0, abs=0.006)


def test_pseudo_huber_is_quadratic_then_linear_in_the_vector_norm() -> None:
    distance, zero = PseudoHuber(c=1.0), torch.zeros(1, 4, dtype=torch.float64)
    direction = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)
    rms = direction.square().mean().sqrt()
    small = distance(1e-4 * direction, zero)
    torch.testing.assert_close(small, 0.5 * (1e-4 * rms).square().reshape(1), rtol=1e-5, atol=0)
    far = distance(1e6 * direction, zero)
    torch.testing.assert_close(far, (1e6 * rms - 1.0).reshape(1))
    # the norm alone matters, not how it is shared among the entries
    turned = rms * 2.0 * torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(distance(turned, zero), distance(direction, zero))


def test_poisson_deviance_is_twice_the_log_likelihood_ratio() -> None:
    mean, counts = torch.tensor([[0.7, 3.0, 9.0]]), torch.tensor([[0.0, 5.0, 8.0]])
    best = torch.distributions.Poisson(counts.clamp_min(1e-9)).log_prob(counts)
    ratio = 2.0 * (best - torch.distributions.Poisson(mean).log_prob(counts)).mean(1)
    torch.testing.assert_close(PoissonDeviance()(mean, counts), ratio)


def test_zero_prediction_of_a_positive_target_is_dear_but_finite() -> None:
    prediction = torch.zeros(1, 1, requires_grad=True)
    loss = PoissonDeviance()(prediction, torch.ones(1, 1))
    assert 10.0 < loss.item() < 100.0
    with pytest.raises(ValueError, match="-0.5"):
        PoissonDeviance()(torch.tensor([[-0.5]]), torch.ones(1, 1))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"prediction has shape \(2, 3\) but target has shape \(3, 2\)"):
        SquaredError()(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="c is 0"):
        PseudoHuber(c=0.0)
