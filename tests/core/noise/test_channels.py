"""Laws every channel obeys."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from scif.core.domain import Domain
from scif.core.noise import NOISE_CHANNELS, Compose, Multinomial, NoiseModel, NotSplittable

DRAWS = 20_000
"""Number of samples; deviations of five standard errors fail."""


def _assert_mean(samples: Tensor, expected: Tensor, *, extra_draws: float = float("inf")) -> None:
    """The mean over the first axis agrees with an expectation, itself exact or a mean over ``extra_draws``."""
    error = samples.std(0) * (1 / len(samples) + 1 / extra_draws) ** 0.5
    assert torch.all((samples.mean(0) - expected).abs() <= 5 * error + 1e-6)


def test_every_named_channel_is_in_the_table(cases):
    tested = set()
    for case in cases.values():
        channel = case.make()
        tested |= {type(part) for part in (channel.chain if isinstance(channel, Compose) else [channel])}
    # an example of the registry registers a channel of its own
    named = {channel for channel in NOISE_CHANNELS.values() if channel.__module__ != "scif.core.noise.registry"}
    assert named <= tested


def test_samples_match_moments_and_support(case, generator):
    channel = case.make()
    x0 = case.signals(DRAWS)
    x1 = channel.sample(x0, generator=generator)
    moments = channel.moments(x0[:1])
    known = float("inf") if case.exact else channel.moment_draws
    assert x1.shape == x0.shape
    assert channel.support_x1.contains(x1)
    _assert_mean(x1, moments.mean[0], extra_draws=known)
    _assert_mean((x1 - x1.mean(0)).square(), moments.variance[0], extra_draws=known)


def test_unbiased_says_whether_the_mean_is_the_signal(case):
    channel = case.make()
    x0 = case.signals(1)
    if channel.unbiased:
        torch.testing.assert_close(channel.moments(x0).mean, x0)
    else:
        assert not torch.allclose(channel.moments(x0).mean, x0)


def test_log_prob_sums_to_one_and_has_the_moments(summable):
    channel, points = summable.make(), summable.points()
    x1 = points[:, None].expand(-1, len(summable.x0))
    x0 = summable.signals(len(points))
    density = channel.log_prob(x1, x0).exp()
    moments = channel.moments(x0[:1])
    mean = summable.total(density * x1)
    variance = summable.total(density * (x1 - mean).square())
    torch.testing.assert_close(summable.total(density), torch.ones(len(summable.x0)).double(), rtol=0, atol=3e-5)
    torch.testing.assert_close(mean, moments.mean[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(variance, moments.variance[0], rtol=1e-4, atol=1e-4)


def _given_totals(channel: NoiseModel, part: Tensor, x0: Tensor) -> Tensor:
    """A part less what its total tells of it: multinomial parts are independent given their totals."""
    if isinstance(channel, Multinomial):
        return part - part.sum(-1, keepdim=True) * x0 / x0.sum(-1, keepdim=True)
    return part - part.mean(0)


@pytest.mark.parametrize("fraction", [0.5, 0.2])
def test_split_parts_sum_back_and_are_independent(splittable, fraction, generator):
    channel = splittable.make()
    x0 = splittable.signals(DRAWS)
    x1 = channel.sample(x0, generator=generator)
    parts = channel.split(x1, fraction, generator=generator)
    assert channel.splittable
    torch.testing.assert_close(parts.a + parts.b, x1)
    assert channel.support_x1.contains(parts.a)
    assert channel.support_x1.contains(parts.b)
    mean = channel.moments(x0[:1]).mean[0]
    _assert_mean(parts.a, fraction * mean)
    _assert_mean(parts.b, (1 - fraction) * mean)
    a, b = _given_totals(channel, parts.a, x0), _given_totals(channel, parts.b, x0)
    _assert_mean(a * b, torch.zeros_like(mean))
    if not isinstance(channel, Multinomial):
        # Independence asks more than no correlation: centred squares must not go together either.
        squares = (a.square() - a.square().mean(0), b.square() - b.square().mean(0))
        for first, second in ((squares[0], b), (a, squares[1]), squares):
            _assert_mean(first * second, torch.zeros_like(mean))


@pytest.mark.parametrize("fraction", [0.5, 0.2])
def test_part_log_prob_is_the_law_of_the_parts(summable_part, fraction, generator):
    channel, points = summable_part.make(), summable_part.points()
    x0 = summable_part.signals(len(points))
    x1 = points[:, None].expand(-1, len(summable_part.x0))
    density = channel.part_log_prob(x1, x0, fraction).exp()
    start = summable_part.signals(DRAWS)
    part = channel.split(channel.sample(start, generator=generator), fraction, generator=generator).a
    torch.testing.assert_close(summable_part.total(density), torch.ones_like(density[0]), rtol=0, atol=2e-4)
    mean = summable_part.total(density * x1)
    _assert_mean(part, mean)
    _assert_mean((part - mean).square(), summable_part.total(density * (x1 - mean).square()))


def test_unsplittable_channels_say_so(unsplittable):
    channel = unsplittable.make()
    assert not channel.splittable
    x1 = unsplittable.signals(2)
    with pytest.raises(NotSplittable, match="anchor_weight=0"):
        channel.split(x1)
    with pytest.raises(NotSplittable):
        channel.part_log_prob(x1, x1, 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape_are_kept(case, dtype, generator):
    channel = case.make()
    x0 = case.signals(5, dtype)
    x1 = channel.sample(x0, generator=generator)
    moments = channel.moments(x0)
    tensors = [x1, moments.mean, moments.variance]
    if case.splittable:
        tensors += [(parts := channel.split(x1, generator=generator)).a, parts.b]
    assert {(t.dtype, t.shape) for t in tensors} == {(dtype, x0.shape)}


def test_single_precision_log_prob_agrees_with_double(summable):
    channel = summable.make()
    index = torch.linspace(0, len(summable.points()) - 1, 40).long()
    x1 = summable.points()[index, None].expand(-1, len(summable.x0)).float()
    x0 = summable.signals(40)
    single, double = channel.log_prob(x1, x0.float()), channel.log_prob(x1.double(), x0)
    torch.testing.assert_close(single.double(), double, rtol=2e-4, atol=2e-4)


def test_a_seed_decides_everything_and_the_global_source_is_untouched(case):
    channel = case.make()
    x0 = case.signals(50)
    before, state = torch.random.get_rng_state(), copy.deepcopy(channel.state_dict())
    results = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(5)
        x1 = channel.sample(x0, generator=generator)
        results.append(
            [x1, channel.split(x1, generator=generator).a if case.splittable else x1, channel.moments(x0).mean]
        )
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(x0, case.signals(50))
    assert all(torch.equal(value, state[name]) for name, value in channel.state_dict().items())
    other = channel.sample(x0, generator=torch.Generator().manual_seed(6))
    assert channel.deterministic == torch.equal(other, results[0][0])


def test_parameters_may_differ_between_samples(per_sample, generator):
    rows = [per_sample.make(which) for which in (0, 1)]
    channel = per_sample.make_per_sample(DRAWS // 2)
    x0 = per_sample.signals(2 * (DRAWS // 2))
    x1 = channel.sample(x0, generator=generator)
    for which, row in enumerate(rows):
        own, known = row.moments(x0[:1]), float("inf") if per_sample.exact else row.moment_draws
        samples = x1[which::2]
        _assert_mean(samples, own.mean[0], extra_draws=known)
        _assert_mean((samples - samples.mean(0)).square(), own.variance[0], extra_draws=known)
    channel, x0, x1 = per_sample.make_per_sample(), x0[:2], x1[:2]
    if per_sample.exact:
        moments = channel.moments(x0)
        torch.testing.assert_close(moments.variance, torch.cat([row.moments(x0[:1]).variance for row in rows]))
    if per_sample.grid is not None:
        each = [row.log_prob(x1[k : k + 1], x0[k : k + 1]) for k, row in enumerate(rows)]
        torch.testing.assert_close(channel.log_prob(x1, x0), torch.cat(each))
    if per_sample.splittable:
        parts = channel.split(x1, torch.tensor([[0.3], [0.8]]), generator=generator)
        torch.testing.assert_close(parts.a + parts.b, x1)


def test_samples_are_differentiable_where_promised(smooth):
    channel = smooth.make()
    x0 = smooth.interior(3).requires_grad_()

    def draw(signal: Tensor) -> Tensor:
        return channel.sample(signal, generator=torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(draw, x0, eps=1e-6, atol=1e-4)


@pytest.mark.trains
def test_log_prob_is_differentiable_in_x0(smooth_density):
    channel, points = smooth_density.make(), smooth_density.points()
    x0 = smooth_density.interior(2).requires_grad_()
    x1 = points[len(points) // 5].expand_as(x0).contiguous()
    assert torch.autograd.gradcheck(lambda signal: channel.log_prob(x1, signal), x0)


def test_copies_and_saved_states_are_the_same_channel(case):
    channel, other = case.make(), case.make(1 if case.params else 0)
    x0 = case.signals(3)
    expected = channel.moments(x0)
    torch.testing.assert_close(copy.deepcopy(channel).moments(x0).variance, expected.variance)
    other.load_state_dict(channel.state_dict())
    torch.testing.assert_close(other.moments(x0).variance, expected.variance)
    samples = [c.sample(x0, generator=torch.Generator().manual_seed(0)) for c in (channel, other)]
    assert torch.equal(*samples)
    assert other.support_x1 is channel.support_x1


@pytest.mark.trains
def test_channels_compile_to_one_graph(compiles):
    channel = compiles.make()
    x0 = compiles.signals(4, torch.float32)
    torch.compiler.reset()
    x1 = torch.compile(channel.sample, fullgraph=True, backend="eager")(x0)
    assert channel.support_x1.contains(x1)
    if compiles.grid is not None:
        compiled = torch.compile(channel.log_prob, fullgraph=True, backend="eager")(x1, x0)
        torch.testing.assert_close(compiled, channel.log_prob(x1, x0))


def test_signals_outside_the_support_are_named(case):
    channel = case.make()
    x0 = case.signals(2)
    x0[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"contains nan \(1 such entries\)"):
        channel.sample(x0)
    if channel.support_x0 is not Domain.REAL:
        x0[1, 2] = -0.5
        with pytest.raises(ValueError, match=r"x0 contains -0\.5 .*outside its support"):
            channel.sample(x0)
    with pytest.raises(TypeError, match="x0 has dtype torch.int64"):
        channel.sample(torch.ones(2, 3, dtype=torch.int64))


def test_shapes_that_do_not_fit_are_named(per_sample):
    channel = per_sample.make_per_sample()
    with pytest.raises(ValueError, match=r"has shape \(2"):
        channel.sample(per_sample.signals(3))


def test_densities_ask_for_equal_shapes(summable):
    with pytest.raises(ValueError, match=r"x1 has shape \(2, 3\) but x0 has shape \(1, 3\)"):
        summable.make().log_prob(summable.signals(2), summable.signals(1))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_fractions_lie_between_zero_and_one(splittable, fraction):
    with pytest.raises(ValueError, match="fraction (is|has values)"):
        splittable.make().split(splittable.signals(2).abs().round(), fraction)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_samples_and_moments_are_the_same_on_a_gpu(case):
    channel = case.make()
    x0 = case.signals(DRAWS, torch.float32)
    moments = channel.moments(x0[:1])
    there, signals = channel.to("cuda"), x0.to("cuda")
    first, again = (there.sample(signals, generator=torch.Generator("cuda").manual_seed(1)) for _ in range(2))
    assert first.device.type == "cuda"
    assert torch.equal(first, again)
    known = float("inf") if case.exact else channel.moment_draws
    _assert_mean(first.cpu(), moments.mean[0], extra_draws=known)
    if case.exact:
        assert torch.allclose(there.moments(signals[:1]).mean.cpu(), moments.mean, rtol=1e-4, atol=1e-5)
