"""Speckle of a single look, whose parts span many orders of magnitude."""

from __future__ import annotations

import pytest
import torch

from scif.core.noise import Gamma


@pytest.mark.parametrize("shape", [1.0, 0.5])
def test_small_parts_in_single_precision_keep_their_law(shape, generator):
    channel, share = Gamma(shape), 0.2
    x0 = torch.full((100_000, 1), 4.0)
    part = channel.split(channel.sample(x0, generator=generator), 1 - share, generator=generator).b
    log = (part / 4.0).log().double()
    # a gamma number of shape k has mean logarithm digamma(k) and variance trigamma(k) of it
    k = torch.tensor(share * shape, dtype=torch.float64)
    expected = torch.digamma(k) - torch.tensor(shape).log()
    error = (torch.polygamma(1, k) / len(log)).sqrt()
    assert abs(float(log.mean() - expected)) < 5 * float(error)
    assert bool(torch.isfinite(channel.part_log_prob(part, x0, share)).all())


def test_nothing_splits_into_nothing():
    parts = Gamma(1.0).split(torch.zeros(2, 2), 0.8)
    assert parts.a.count_nonzero() == parts.b.count_nonzero() == 0
