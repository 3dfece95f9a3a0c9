"""Laws of the last step of training: loadings as posterior means under a prior learned from all genes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor

import scif
from scif.counts.config import LoadingsConfig
from scif.counts.data.dataset import CountDataset
from scif.counts.data.sample import CellSample
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.likelihood import multinomial_nll
from scif.counts.network import CountNetwork
from scif.counts.posterior.factors import standard_factors
from scif.counts.posterior.laplace import information
from scif.counts.posterior.parameters import Dispersion, Loadings, Parameters
from scif.counts.stages.loadings import fit_loadings
from scif.counts.stages.start import svd_start
from scif.counts.statistics import gene_regression as _regression
from scif.counts.statistics.shrinkage import SCALES, VectorPrior, learn_prior, loosen, shrink


def _measured(covariance: Tensor, genes: int, *, null: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """True vectors, of which some are zero, and the quadratic likelihood of a noisy measurement of each."""
    generator = torch.Generator().manual_seed(0)
    k = len(covariance)
    true = torch.randn(genes, k, generator=generator) @ torch.linalg.cholesky(covariance).T
    true[:null] = 0.0
    half = torch.randn(genes, k, 2 * k, generator=generator)
    information = half @ half.transpose(1, 2) / (2 * k)
    noise = torch.linalg.cholesky(information) @ torch.randn(genes, k, 1, generator=generator)
    return true, information, (information @ true[..., None] + noise)[..., 0]


def _shrunk(information: Tensor, target: Tensor, guess: Tensor) -> Tensor:
    return shrink(information, target, prior=learn_prior(information, target, guess=guess))


def test_nearly_as_good_as_with_the_true_prior():
    covariance = torch.tensor([[2.0, 0.6, 0.0], [0.6, 0.5, 0.1], [0.0, 0.1, 0.05]])
    true, information, target = _measured(covariance, 3000)
    ours = _shrunk(information, target, torch.eye(3))
    best = torch.linalg.solve(information + torch.linalg.inv(covariance), target)
    plain = torch.linalg.solve(information, target)
    error = [float((estimate - true).square().mean()) for estimate in (ours, best, plain)]
    assert error[0] < 1.15 * error[1] < 0.2 * error[2], error


def test_vectors_that_are_zero_are_shrunk_more():
    """A prior of one width would leave the zeros what the others need."""
    true, information, target = _measured(torch.eye(4), 2000, null=1500)
    ours = _shrunk(information, target, torch.eye(4))
    best = torch.linalg.solve(information + torch.eye(4), target)
    assert ours[:1500].square().mean() < 0.2 * best[:1500].square().mean()
    assert (ours - true)[1500:].square().mean() < 1.3 * (best - true)[1500:].square().mean()


def test_shrinkage_does_not_depend_on_coordinates():
    true, information, target = _measured(torch.eye(3), 400)
    change = torch.tensor([[2.0, 0.5, 0.0], [0.0, 1.0, -0.4], [0.3, 0.0, 0.5]])
    inverse = torch.linalg.inv(change)
    moved = _shrunk(change.T @ information @ change, target @ change, inverse @ inverse.T)
    plain = _shrunk(information, target, torch.eye(3))
    torch.testing.assert_close(moved @ change.T, plain, rtol=1e-3, atol=1e-3)
    assert true.shape == plain.shape


def test_genes_solved_a_few_at_a_time_are_those_solved_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    codes, weight, rest = (torch.randn(200, n, generator=generator) for n in (3, 50, 50))
    loadings = torch.randn(50, 3, generator=generator)
    sums = _regression.GeneRegressions(loadings, codes, torch.eye(5).repeat(40, 1))
    sums.add(slice(0, 200), weight.exp(), rest)
    prior = sums.learn_prior(guess=torch.eye(3))
    at_once = {how: sums.solved(how, prior=prior) for how in (shrink, loosen)}
    monkeypatch.setattr(_regression, "NUMBERS", 9 * 7)
    for how, expected in at_once.items():
        torch.testing.assert_close(sums.solved(how, prior=prior), expected, rtol=1e-4, atol=1e-5)


def test_no_rate_of_a_cell_changes_too_far_in_one_step():
    generator = torch.Generator().manual_seed(0)
    codes, change = torch.randn(300, 3, generator=generator), torch.randn(40, 3, generator=generator)
    change[:10] *= 0.01
    kept = _regression.within_trust(change, codes)
    torch.testing.assert_close(kept[:10], change[:10])
    torch.testing.assert_close((codes @ kept[10:].T).abs().amax(0), torch.full((30,), _regression.TRUST))
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(kept, change), torch.ones(40))


def test_a_cell_far_from_all_others_does_not_lose_its_bounds():
    """A gene of that cell alone: a group's curvature hardly knows of it, and a full step would multiply its rate."""
    generator = torch.Generator().manual_seed(4)
    codes = torch.randn(400, 3, generator=generator)
    codes[0] = torch.tensor([20.0, 0.0, 0.0])
    weight, rest = torch.ones(400, 50), torch.randn(400, 50, generator=generator)
    weight[1:, 0], rest[1:, 0], rest[0, 0] = 0.01, 0.0, 60.0
    loadings = torch.randn(50, 3, generator=generator)
    sums = _regression.GeneRegressions(loadings, codes, torch.ones(400, 1))
    sums.add(slice(0, 400), weight, rest)
    prior = sums.learn_prior(guess=torch.eye(3))
    full = codes @ (sums.solved(shrink, prior=prior) - loadings).T
    assert float(full[0, 0]) > 5.0
    change = codes @ sums.change(shrink, prior=prior).T
    assert float(change.abs().max()) <= _regression.TRUST + 1e-5


@pytest.mark.parametrize("alike", [False, True])
def test_the_parabola_of_groups_is_that_of_the_cells(alike):
    """Exactly, where every cell is a group, or where cells of a group differ in depth alone."""
    generator = torch.Generator().manual_seed(4)
    codes, weight, rest = (torch.randn(60, n, generator=generator).double() for n in (3, 20, 20))
    weight, group = weight.exp(), torch.eye(60).double()
    if alike:
        group = torch.eye(6).double().repeat(10, 1)
        codes = codes[:6].repeat(10, 1)
        weight = weight[:6].repeat(10, 1) * torch.rand(60, 1, generator=generator, dtype=torch.double)
    loadings = torch.randn(20, 3, generator=generator).double()
    sums = _regression.GeneRegressions(loadings, codes, group)
    for cells in (slice(0, 25), slice(25, 60)):
        sums.add(cells, weight[cells], rest[cells])
    centre = weight.T @ codes / weight.sum(0)[:, None]
    apart = codes[:, None] - centre
    information = torch.einsum("ng,ngi,ngj->gij", weight, apart, apart)
    target = (information @ loadings[:, :, None])[..., 0] + torch.einsum("ng,ngi->gi", rest, apart)
    for ours, expected in zip(sums.quadratic(), (information, target), strict=True):
        torch.testing.assert_close(ours, expected)


def _regressed_noise(genes: int) -> tuple[_regression.GeneRegressions, Tensor]:
    """Counts that do not follow codes, regressed on them, and their information on their log-rates."""
    generator = torch.Generator().manual_seed(7)
    codes = torch.randn(300, 2, generator=generator)
    mu = 3.0 * torch.rand(genes, generator=generator).square() * torch.ones(300, 1)
    sums = _regression.GeneRegressions(torch.zeros(genes, 2), codes, torch.ones(300, 1))
    sums.add(slice(0, 300), mu, torch.poisson(mu, generator=generator) - mu)
    return sums, mu


def test_noise_of_loadings_is_all_that_counts_seem_to_say_of_codes_they_do_not_follow():
    sums, mu = _regressed_noise(1500)
    prior = VectorPrior(10.0 * torch.eye(2), torch.full((len(SCALES), 1), 1 / len(SCALES)))
    loadings = sums.solved(loosen, prior=prior)
    seems = information(mu.sum(0, keepdim=True), loadings)[0]
    noise = sums.noise(prior=prior)
    assert float(noise.trace()) > 0.9 * 2 * 1500  # each gene adds about one in each direction
    torch.testing.assert_close(seems, noise, rtol=0.1, atol=0.05 * float(noise.trace()))


def test_noise_of_loadings_is_known_from_some_genes(monkeypatch):
    sums, _ = _regressed_noise(1500)
    prior = VectorPrior(0.1 * torch.eye(2), torch.full((len(SCALES), 1), 1 / len(SCALES)))
    every = sums.noise(prior=prior)
    monkeypatch.setattr(_regression, "GENES", 300)
    torch.testing.assert_close(sums.noise(prior=prior), every, rtol=0.05, atol=0.02 * float(every.trace()))


def test_groups_leave_no_direction_with_negative_information():
    generator = torch.Generator().manual_seed(5)
    codes, weight = torch.randn(300, 4, generator=generator), torch.rand(300, 30, generator=generator)
    group = torch.softmax(3.0 * torch.randn(300, 7, generator=generator), 1)
    sums = _regression.GeneRegressions(torch.zeros(30, 4), codes, group)
    sums.add(slice(0, 300), weight, torch.zeros(300, 30))
    assert float(torch.linalg.eigvalsh(sums.quadratic()[0]).min()) > 0.0


def _start(x: sparse.csr_matrix, width: int = 6) -> CountNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CountNetwork(x.shape[1], width)
    network.start_from(svd_start(x, width, profile=np.asarray(x.sum(0)).ravel(), rng=np.random.default_rng(0)))
    return network.eval()


def _refit(network: CountNetwork, x: sparse.csr_matrix, batch_size: int) -> Loadings:
    genes = x.shape[1]
    parameters = Parameters(torch.full((genes,), 1.0 / genes), Dispersion.none(genes))
    cells = CellSample(CountDataset(x), np.arange(x.shape[0]), batch_size, torch.device("cpu"))
    at = standard_factors(network, cells)
    return fit_loadings(network, parameters, cells, LoadingsConfig(), at=at).loadings


@pytest.mark.parametrize("batches", [1, 2])
def test_other_molecules_of_the_same_cells_are_predicted_better(batches):
    adata = scif.datasets.simulate_counts(800, 400, depth=600.0, seed=1)
    split = scif.metrics.split_counts(adata.X, 0.5, seed=0)
    kept = np.arange(400) != 7  # a gene without a molecule
    train = sparse.csr_matrix(split.train @ sparse.diags(kept.astype(np.float32)), dtype=np.float32)
    train.eliminate_zeros()
    seen, other = SparseCounts.from_scipy(train), SparseCounts.from_scipy(split.test)
    network, library = _start(train), seen.totals()

    @torch.no_grad()
    def logits(loadings: Loadings | None) -> Tensor:
        latent = network.latent(seen, torch.ones_like(library), library=library)
        return network.decode(latent, None, loadings=loadings)

    before = float(multinomial_nll(logits(None), other))
    whole = _refit(network, train, 800)
    found = whole if batches == 1 else _refit(network, train, 300)
    after = float(multinomial_nll(logits(found), other))
    assert after < before - 0.01, (before, after)
    assert all(bool(value.isfinite().all()) for value in (found.weight, found.bias))
    torch.testing.assert_close(torch.softmax(logits(found), 1), torch.softmax(logits(whole), 1), rtol=0.02, atol=1e-5)


def test_a_gene_is_not_explained_by_itself():
    """The code is the count of one gene, which nothing predicts: regressed on the code it would explain itself."""
    rng = np.random.default_rng(0)
    x = sparse.csr_matrix(rng.poisson(4.0, (2000, 30)).astype(np.float32))
    network = CountNetwork(30, 1, extra=1)
    for parameter in network.parameters():
        parameter.data.zero_()
    network.components[3] = 1.0
    network.depth.fill_(120.0)
    network.shrinkage.data.fill_(1.0)
    network.center.fill_(1.6)
    network.spread.fill_(0.5)
    network.loadings.data.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    found = _refit(network.eval(), x, 2000)
    # what it would be without the correction is far from zero
    assert abs(found.weight[3, 0].item()) < 0.1
