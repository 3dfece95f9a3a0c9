"""The residual network and its time embedding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from scif.nn import TimeEmbedding, TimeMLP


def trained_looking(**options: int) -> TimeMLP:
    torch.manual_seed(0)
    net = TimeMLP(3, hidden=16, **options)
    nn.init.normal_(net.outlet.weight)
    return net


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_depends_on_sample_and_time_one_by_one(dtype: torch.dtype) -> None:
    net = trained_looking(depth=2).to(dtype)
    x, t = torch.randn(5, 3, dtype=dtype), torch.rand(5, dtype=dtype)
    out = net(x, t)
    assert out.dtype == dtype
    torch.testing.assert_close(net(x[2:3], t[2:3]), out[2:3])
    changed = net(x, torch.cat([t[:1] / 2, t[1:]]))
    assert not torch.allclose(changed[0], out[0])
    torch.testing.assert_close(changed[1:], out[1:])


def test_zero_before_training_but_not_stuck() -> None:
    net = TimeMLP(3, hidden=16)
    x, t = torch.randn(5, 3), torch.rand(5)
    assert torch.equal(net(x, t), torch.zeros(5, 3))
    (net(x, t) - 1.0).square().sum().backward()
    assert net.outlet.weight.grad.abs().sum() > 0


def test_dropout_acts_in_training_alone() -> None:
    net = trained_looking(depth=1)
    noisy = TimeMLP(3, hidden=16, depth=1, dropout=0.5)
    noisy.load_state_dict(net.state_dict())
    x, t = torch.randn(5, 3), torch.rand(5)
    assert not torch.allclose(noisy(x, t), net(x, t))
    torch.testing.assert_close(noisy.eval()(x, t), net(x, t))


def test_embedding_is_on_the_unit_circle_and_tells_times_apart() -> None:
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    embedding = TimeEmbedding(16, max_frequency=8.0)(t)
    torch.testing.assert_close(embedding[:, :8] ** 2 + embedding[:, 8:] ** 2, torch.ones(101, 8, dtype=torch.float64))
    distance = torch.cdist(embedding, embedding) + 10 * torch.eye(101)
    assert distance.min() > 0.1
    # the steepest wave has max_frequency half waves over the interval
    slope = (embedding[1, 7] - embedding[0, 7]) / t[1]
    assert slope.item() == pytest.approx(8.0 * math.pi, rel=0.02)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="dim is 5"):
        TimeEmbedding(5)
    with pytest.raises(ValueError, match="depth = 0"):
        TimeMLP(3, depth=0)
