"""Laws of the count model's network parts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from torch import Tensor

from scif.counts.consistency import CountConsistency
from scif.counts.data.batch import CountBatch
from scif.counts.data.entry_sums import EntrySums
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.encoder import residual_encoder
from scif.counts.likelihood import multinomial_nll
from scif.counts.network import CountNetwork
from scif.counts.posterior.estimate import LEVEL, estimate, gene_shapes
from scif.counts.posterior.expectation import composition, profiles
from scif.counts.posterior.gene_variation import signal_share
from scif.counts.posterior.parameters import Dispersion, LatentPrior, Loadings, Parameters, Trend


def counts(cells: int = 6, genes: int = 9, *, seed: int = 0) -> SparseCounts:
    rng = np.random.default_rng(seed)
    return SparseCounts.from_scipy(sparse.csr_matrix(rng.poisson(1.5, (cells, genes)) + np.eye(cells, genes)))


def consistency(genes: int = 9, *, batches: int = 1, alpha: float = 4.0, theta: float = 1e6) -> CountConsistency:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CountNetwork(genes, 3, extra=2, num_batches=batches, encoder=partial(residual_encoder, hidden=8))
        for parameter in network.parameters():
            parameter.data.normal_(std=0.3)
        network.components.normal_()
        network.depth.fill_(10.0)
    dispersion = Dispersion(torch.full((genes,), alpha), torch.full((genes,), theta))
    return CountConsistency(network, Parameters(torch.full((genes,), 1.0 / genes), dispersion)).eval()


def changed(model: CountConsistency, **changes: Any) -> CountConsistency:
    """The same network with other parameters."""
    return CountConsistency(model.network, replace(model.fitted, **changes)).eval()


def denoised(model: CountConsistency, x: SparseCounts, batch: Tensor | None = None, **kwargs: Any) -> Tensor:
    return estimate(model.network, model.fitted, CountBatch(x, batch), **kwargs)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dense", [False, True])
def test_sums_of_entries_are_those_of_the_dense_array(axis, dense):
    x = counts()
    sums = EntrySums(x.rows, x.columns, (6, 9), axis=axis, dense=dense)
    torch.testing.assert_close(sums(x.values), x.dense().sum(axis))
    nothing = EntrySums(x.rows[:0], x.columns[:0], (6, 9), axis=axis, dense=dense)
    assert nothing(x.values[:0]).tolist() == [0.0] * (6 if axis else 9)


@pytest.mark.parametrize("batches", [1, 3])
def test_likelihood_without_logits_equals_that_with_them(monkeypatch, batches):
    """Loss and gradients, with cells taken four at a time."""
    monkeypatch.setattr("scif.counts.likelihood.AT_A_TIME", 1)
    monkeypatch.setattr("scif.counts.likelihood.FEWEST", 4)
    network = consistency(batches=batches).network.double()
    x = counts()
    x, batch = x.with_values(x.values.double()), torch.tensor([0, 2, 1, 1, 0, 2]) % batches
    codes = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    learning = [codes, network.loadings, network.bias]
    plain = multinomial_nll(network.decode(codes, network.offset(batch, codes)), x)
    expected = torch.autograd.grad(plain, learning)
    loss = network.nll(codes, x, batch=batch)
    torch.testing.assert_close(loss, plain)
    for ours, theirs in zip(torch.autograd.grad(3.0 * loss, learning), expected, strict=True):
        torch.testing.assert_close(ours, 3.0 * theirs)


def test_products_and_rows_are_those_of_the_dense_array():
    x = SparseCounts.from_scipy(sparse.csr_matrix([[0, 2, 1], [0, 0, 0], [3, 0, 0]]))
    weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(x.matmul(weight), x.dense() @ weight)
    assert x.rows.tolist() == [0, 0, 2]
    assert x.first(2).rows.tolist() == [0, 0]
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(x.matmul(weight), (x.dense() @ weight).float(), rtol=0.0, atol=0.03)


def test_rows_found_without_gradients_serve_with_them():
    x, logits = counts(), torch.zeros(6, 9, requires_grad=True)
    with torch.inference_mode():
        assert len(x.rows) == len(x.values)
    multinomial_nll(logits, x).backward()
    assert torch.isfinite(logits.grad).all()


def test_likelihood_and_gradient_equal_the_dense_ones():
    x, logits = counts(), torch.randn(6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    x = x.with_values(x.values.double())
    loss = multinomial_nll(ours, x)
    reference = -(x.dense() * torch.log_softmax(plain, 1)).sum() / x.values.sum()
    torch.testing.assert_close(loss, reference)
    (3 * loss).backward()
    (3 * reference).backward()
    torch.testing.assert_close(ours.grad, plain.grad)
    assert torch.autograd.gradcheck(lambda z: multinomial_nll(z, x), logits.requires_grad_())


def test_sparse_and_dense_counts_give_the_same():
    x, model = counts(), consistency()
    torch.testing.assert_close(model(x, 1.0), model(x.dense(), 1.0))
    torch.testing.assert_close(x.matmul(torch.eye(9)), x.dense())
    torch.testing.assert_close(x.first(2).dense(), x.dense()[:2])
    torch.testing.assert_close(x.totals(), x.dense().sum(1))


def test_thinning_is_binomial_and_adds_up():
    x = SparseCounts.from_scipy(np.full((2000, 3), 10.0))
    generator = torch.Generator().manual_seed(0)
    parts = x.thin(torch.full((2000,), 0.3), generator=generator)
    torch.testing.assert_close(parts.a.values + parts.b.values, x.values)
    kept = parts.a.values
    assert abs(float(kept.mean()) - 3.0) < 5 * (2.1 / 6000) ** 0.5
    assert abs(float(kept.var()) - 2.1) < 0.25
    fractional = SparseCounts.from_scipy(np.array([[2.5, 0.5]])).thin(torch.ones(1), generator=generator)
    assert fractional.b.values.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 40])
@pytest.mark.parametrize("chance", [1e-4, 0.05, 0.5, 0.93])
def test_thinning_has_the_binomial_distribution(count, chance):
    x = SparseCounts.from_scipy(np.full((1, 200_000), float(count)))
    kept = x.thin(torch.tensor([chance]), generator=torch.Generator().manual_seed(count)).a.values.numpy()
    expected = stats.binom.pmf(np.arange(count + 1), count, chance) * len(kept)
    observed = np.bincount(kept.astype(int), minlength=count + 1)
    often = expected > 5
    assert observed[~often].sum() <= expected[~often].sum() + 6 * (1 + expected[~often].sum()) ** 0.5
    score = ((observed - expected)[often] ** 2 / expected[often]).sum()
    assert stats.chi2.sf(score, max(1, often.sum() - 1)) > 1e-4


def test_thinning_takes_each_cell_at_its_own_chance():
    chances, trials = torch.tensor([0.1, 0.6, 0.97]), 50_000
    x = SparseCounts.from_scipy(np.tile(np.repeat([1.0, 3.0, 6.0, 9.0], trials), (3, 1)))
    kept = x.thin(chances, generator=torch.Generator().manual_seed(0)).a.dense().view(3, 4, trials)
    counts = torch.tensor([1.0, 3.0, 6.0, 9.0])
    mean, variance = chances[:, None] * counts, (chances * (1 - chances))[:, None] * counts
    assert bool(((kept.mean(2) - mean).abs() < 5 * (variance / trials).sqrt()).all())
    torch.testing.assert_close(kept.var(2), variance, rtol=0.05, atol=0)


def test_thinning_by_none_and_by_all_is_exact():
    x = SparseCounts.from_scipy(np.tile(np.arange(12.0), (2, 5000)))
    parts = x.thin(torch.tensor([0.0, 1.0]), generator=torch.Generator().manual_seed(0))
    assert parts.a.dense()[0].sum() == 0.0
    assert parts.b.dense()[1].sum() == 0.0


@pytest.mark.parametrize("kind", ["mean", "transport"])
@pytest.mark.parametrize("theta", [1e6, 5.0])
@pytest.mark.parametrize("alpha", [0.5, 1e6])
def test_identity_at_time_zero(kind, theta, alpha):
    x = counts().dense()
    assert torch.equal(consistency(theta=theta, alpha=alpha)(x, 0.0, kind=kind), x)


@pytest.mark.parametrize("kind", ["mean", "transport"])
@pytest.mark.parametrize("t", [0.3, 1.0])
def test_library_sizes_are_kept_and_nothing_is_negative(kind, t):
    x = counts().dense()
    out = consistency(theta=5.0)(x, t, kind=kind)
    torch.testing.assert_close(out.sum(1), x.sum(1))
    assert bool((out >= 0).all())


def test_counts_come_back_from_scipy():
    x = counts()
    there = SparseCounts.from_scipy(x.to_scipy())
    torch.testing.assert_close(there.dense(), x.dense(), rtol=0, atol=0)
    assert x.to_scipy().shape == (6, 9)


@pytest.mark.parametrize("batches", [1, 2])
def test_genes_that_share_no_variance_are_constant_and_the_rest_keeps_the_library(batches):
    credibility = torch.tensor([0.0] * 4 + [1.0] * 5)
    model = changed(
        consistency(alpha=1e6, batches=batches), profile=torch.arange(1.0, 10.0) / 45.0, credibility=credibility
    )
    x, codes = counts(), torch.zeros(6, dtype=torch.long)
    share = denoised(model, x, codes) / x.totals()[:, None]
    # gamma shapes of a million let a millionth of the observation through
    constant = profiles(model.network, model.fitted)[0].expand(6, 9)
    torch.testing.assert_close(share[:, :4], constant[:, :4], rtol=1e-4, atol=1e-5)
    assert (share[:, 4:].std(0) > 1e-4).all()
    torch.testing.assert_close(share.sum(1), torch.ones(6))
    torch.testing.assert_close(model(x, 0.0, batch=codes), x.dense())
    assert (denoised(model, x, codes, kind="transport") >= 0).all()


@pytest.mark.parametrize("batches", [1, 2])
def test_a_technical_trend_is_corrected(batches):
    """A gene of as many counts in every cell: one value per molecule of the library, whatever the library is."""
    credibility = torch.ones(9)
    credibility[0] = 0.0
    model = changed(consistency(batches=batches), profile=torch.arange(1.0, 10.0) / 45.0, credibility=credibility)
    x = torch.tensor([[3.0, 4, 2, 1, 0, 2, 5, 3, 4]]).repeat(3, 1)
    x[1:, 1:] *= torch.tensor([[2.0], [6.0]])
    codes, stored = torch.zeros(3, dtype=torch.long), SparseCounts.from_scipy(x.numpy())

    def share(model, **kwargs):
        return (denoised(model, stored, codes, **kwargs) / x.sum(1, keepdim=True))[:, 0].detach()

    before = share(model)
    assert float(before.max() / before.min()) > 1.3
    slope = torch.zeros(9)
    slope[0] = -1.0
    level = x[1].sum().log().expand(batches)
    model = changed(model, trend=Trend(torch.zeros(9), slope, level, torch.tensor([-2.0, 2.0])))
    after = share(model)
    # but for the scale that keeps the library size
    torch.testing.assert_close(after, after[1].expand(3), rtol=0.03, atol=0.0)
    torch.testing.assert_close(after[1], before[1])  # nothing changes at the level itself
    torch.testing.assert_close(denoised(model, stored, codes).sum(1), x.sum(1))
    if batches == 2:
        torch.testing.assert_close(share(model, target=codes), after)


def test_posterior_mean_is_the_conjugate_one_under_poisson_noise():
    model, stored = consistency(alpha=4.0), counts()
    x, library, cells = stored.dense(), stored.totals(), CountBatch(stored)
    mu = library[:, None] * composition(model.network, model.fitted, cells)
    k = mu / (mu + 4.0)
    level = ((1.0 - k) * x).sum(1) + LEVEL, ((1.0 - k) * mu).sum(1) + LEVEL  # what a cell's counts leave open
    expected = k * x + (1.0 - k) * mu * (level[0] / level[1])[:, None]
    assert float((expected / (mu * (x + 4.0) / (mu + 4.0)) - 1.0).abs().max()) < 0.05
    expected = expected * (library / expected.sum(1))[:, None]
    torch.testing.assert_close(denoised(model, stored), expected)
    torch.testing.assert_close(model(x, 1.0), expected)
    torch.testing.assert_close(x + gene_shapes(model.fitted, stored, mu), x + 4.0)  # shapes of the gamma posterior


def test_share_of_signal_is_the_best_linear_one_under_negative_binomial_noise():
    """By Monte Carlo: gamma signal, negative binomial noise, regression of the signal on the observation."""
    rng, mu, alpha, theta = np.random.default_rng(0), 6.0, 3.0, 2.0
    x0 = rng.gamma(alpha, mu / alpha, 400_000)
    x1 = rng.poisson(x0 * rng.gamma(theta, 1 / theta, x0.size))
    slope = np.cov(x0, x1)[0, 1] / x1.var()
    share = signal_share(torch.full((1, 9), mu), torch.full((9,), alpha), torch.full((9,), theta))
    assert abs(float(share[0, 0]) - slope) < 0.01


def test_transport_restores_each_genes_variance():
    rng, mu, alpha = np.random.default_rng(0), 6.0, 3.0
    x0 = rng.gamma(alpha, mu / alpha, (400_000, 1))
    x1 = torch.from_numpy(rng.poisson(x0)).float()
    share = signal_share(torch.full_like(x1, mu), torch.tensor([alpha]), None)
    kept = {"mean": share, "transport": share.sqrt()}
    variance = {kind: float((mu + k * (x1 - mu)).var()) for kind, k in kept.items()}
    assert abs(variance["transport"] / x0.var() - 1) < 0.02
    assert abs(variance["mean"] / x0.var() - mu / (mu + alpha)) < 0.02


@pytest.mark.parametrize("many", [False, True])
def test_a_transported_composition_that_counts_are_against_has_no_weight(many):
    """Latent factors of zero whose decoder puts nearly all into the last gene, which has no counts."""
    model = consistency(alpha=1e6)
    bias = torch.zeros(9)
    bias[-1] = 9.0
    decoder, eye = Loadings(torch.zeros(9, 5), bias), torch.eye(5)[None]
    prior = LatentPrior(
        entry=torch.zeros(6, 5),
        loadings=decoder,
        loose=decoder,
        log_weights=torch.zeros(1),
        centre=torch.zeros(1, 5),
        root=eye,
        unroot=eye,
        information=torch.zeros(1, 5),
        noise=torch.zeros(5, 5),
        stretch=eye,
        residual_shape=torch.full((9,), 1e6),
    )
    model = changed(model, prior=prior, prior_share=0.5)
    x = counts().dense()
    x[:, -1] = 0.0
    x = x * 50.0 if many else x * 0.05
    cells = CountBatch(SparseCounts.from_scipy(x.numpy()))
    rho = torch.softmax(model.network(cells.x, torch.ones(6), library=cells.library), 1)
    found = composition(model.network, model.fitted, cells, kind="transport")
    if many:
        torch.testing.assert_close(found, rho, rtol=1e-3, atol=1e-4)
    else:
        assert float(found[:, -1].min()) > 0.5


def test_a_gene_that_keeps_its_counts_makes_no_room_for_others():
    """A marker with a shape of its own of next to nothing: its counts stay, the other genes share what is left."""
    model = consistency(alpha=1e5)
    model.network.loadings.data.mul_(0.05)  # about the same of each gene is expected of all cells
    model.fitted.dispersion.residual_shape[0] = 1e-4
    x = counts().dense() * 500.0
    x[:, 0] = x.sum(1)  # half of the molecules
    out = model(x, 1.0)
    torch.testing.assert_close(out.sum(1), x.sum(1))
    assert float((out[:, 0] / x[:, 0] - 1.0).abs().max()) < 0.02


def test_own_batch_as_target_changes_nothing():
    model, x = consistency(batches=2), counts()
    batch = torch.tensor([0, 1, 0, 1, 0, 1])
    model.network.set_batches(torch.linspace(-1.0, 1.0, 18).reshape(9, 2).T ** 2, torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(denoised(model, x, batch, target=batch), denoised(model, x, batch))
    other = denoised(model, x, batch, target=1 - batch)
    assert not torch.allclose(other, denoised(model, x, batch), rtol=1e-2)
    torch.testing.assert_close(other.sum(1), x.totals())


def test_bad_times_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        consistency()(counts(), 1.5)
