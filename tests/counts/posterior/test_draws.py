"""Laws of intervals and draws: conjugacy, means, independence of what else is asked for, coverage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

from scif.counts.posterior.draws import COUNTS, CellNumbers, Factors, draw_counts, draw_expected
from scif.counts.posterior.gamma import gamma_from_normal, gamma_quantile
from scif.counts.posterior.latent import LatentPosterior
from scif.counts.posterior.loadings_posterior import expected_information, loadings_posterior
from scif.counts.posterior.spread import Spread, log_rate_variance, posterior_spread
from scif.datasets import simulate_counts
from scif.metrics import coverage
from scif.model import ICM


@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.975])
def test_gamma_quantiles_are_those_of_scipy(probability: float) -> None:
    shape = torch.tensor(np.geomspace(0.02, 1e5, 500))
    exact = special.gammaincinv(shape.numpy(), probability) / shape.numpy()
    np.testing.assert_allclose(gamma_quantile(shape, probability), exact, rtol=1e-3)


@pytest.mark.parametrize("probability", [0.0, 1.0, float("nan")])
def test_a_probability_outside_the_open_interval_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        gamma_quantile(torch.ones(1), probability)


@pytest.mark.parametrize("shape", [0.2, 1.0, 4.0, 300.0])
def test_gamma_draws_have_the_gamma_distribution(shape: float) -> None:
    generator = torch.Generator().manual_seed(0)
    score, uniform = torch.randn(20_000, generator=generator), torch.rand(20_000, generator=generator)
    draws = gamma_from_normal(torch.full((20_000,), shape), score, uniform)
    assert stats.kstest(draws.double().numpy(), "gamma", args=(shape, 0.0, 1.0 / shape)).pvalue > 0.01


def test_known_factors_give_the_conjugate_posterior() -> None:
    x, mu, alpha = torch.tensor([[0.0, 2.0, 9.0]]), torch.tensor([[0.5, 3.0, 4.0]]), torch.tensor([2.0, 5.0, 0.7])
    spread = posterior_spread(mu * (x + alpha) / (mu + alpha), x + alpha, alpha / (mu + alpha), None)
    exact = stats.gamma((x + alpha).numpy(), scale=1.0 / (1.0 + alpha / mu).numpy())
    np.testing.assert_allclose(spread.sd(), exact.std(), rtol=1e-5)
    np.testing.assert_allclose(spread.quantile(0.05), exact.ppf(0.05), rtol=1e-3)
    np.testing.assert_allclose(spread.quantile(0.95), exact.ppf(0.95), rtol=1e-3)


def test_variance_is_that_of_the_law_of_total_variance() -> None:
    spread = Spread(torch.tensor([[2.0]]), torch.tensor([[5.0]]), torch.tensor([[0.1]]), torch.tensor([[1.0]]))
    assert float(spread.sd()) == pytest.approx(2.0 * ((1 + 1 / 5) * (1 + 0.1) - 1) ** 0.5)


def _factors(cells: int = 40, genes: int = 30, k: int = 3) -> tuple[Factors, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator)

    root = torch.stack([torch.eye(k), 0.5 * torch.eye(k)])
    weights = torch.softmax(normal(cells, 2), 1)
    variances = 0.05 + 0.1 * torch.rand(cells, 2, k, generator=generator)
    posterior = LatentPosterior(weights, 0.2 * normal(cells, 2, k), variances, torch.zeros(cells))
    loadings = 0.4 * normal(genes, k)
    uncertain = loadings_posterior(
        loadings,
        0.5 * normal(genes),
        log_weights=torch.tensor([0.5, 0.5]).log(),
        centre=torch.zeros(2, k),
        root=root,
        dispersion=torch.zeros(genes),
        cells=300.0,
        depth=200.0,
    )
    return Factors(posterior, root, loadings, uncertain), torch.rand(cells, genes, generator=generator) + 0.5


def _spread(factors: Factors, mean: torch.Tensor, shape: float = 20.0) -> Spread:
    rho = mean / mean.sum(1, keepdim=True)
    variance = log_rate_variance(
        factors.posterior.mean(), factors.covariance(), factors.loadings, rho=rho, uncertain=factors.uncertain
    )
    return posterior_spread(mean, torch.full_like(mean, shape), torch.full_like(mean, 0.8), variance)


def test_draws_have_the_mean_and_the_spread_of_the_closed_form() -> None:
    factors, mean = _factors()
    spread = _spread(factors, mean)
    draws = torch.stack(
        list(draw_expected(spread, factors, cells=range(40), library=mean.sum(1), n_samples=400, seed=0))
    )
    error = (draws.mean(0) - mean) / (draws.std(0) / 400**0.5)
    assert float(error.square().mean().sqrt()) < 1.5  # one, but for the rescaling to the library size
    assert float((draws.mean(0) / mean - 1.0).abs().max()) < 0.15
    assert float((draws.std(0) / spread.sd()).median()) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(draws.sum(2), mean.sum(1).expand(400, -1), rtol=1e-5)


def test_draws_of_genes_that_share_no_variance_are_uncorrelated() -> None:
    factors, mean = _factors(cells=200)
    rho = mean / mean.sum(1, keepdim=True)
    variance = log_rate_variance(
        factors.posterior.mean(), factors.covariance(), factors.loadings, rho=rho, uncertain=factors.uncertain
    )
    alone = torch.zeros(30, dtype=torch.bool)
    alone[:10] = True
    constant = mean.mean(0).expand_as(mean)
    spread = posterior_spread(constant, torch.full_like(mean, 20.0), torch.ones_like(mean), variance, alone=alone)
    [draw] = draw_expected(spread, factors, cells=range(200), library=constant.sum(1), n_samples=1, seed=0)
    correlation = np.corrcoef(draw[:, :10].T)[np.triu_indices(10, 1)]
    assert np.abs(correlation).mean() < 0.08  # 0.056 by chance


def test_a_draw_depends_on_the_cell_and_the_seed_alone() -> None:
    factors, mean = _factors()
    spread = _spread(factors, mean)
    [all_cells] = draw_expected(spread, factors, cells=range(40), library=mean.sum(1), n_samples=1, seed=5)
    some = torch.tensor([31, 2])
    posterior = LatentPosterior(
        *(getattr(factors.posterior, name)[some] for name in ("weights", "means", "variances", "log_evidence"))
    )
    few = Factors(posterior, factors.root, factors.loadings, factors.uncertain)
    part = Spread(*(getattr(spread, name)[some] for name in ("mean", "shape", "passed", "share")))
    [alone] = draw_expected(part, few, cells=some.tolist(), library=mean.sum(1)[some], n_samples=1, seed=5)
    torch.testing.assert_close(alone, all_cells[some])
    [other] = draw_expected(spread, factors, cells=range(40), library=mean.sum(1), n_samples=1, seed=6)
    assert not torch.allclose(other, all_cells)


def test_counts_are_drawn_from_the_noise_channel() -> None:
    expected = torch.full((2000, 1), 3.0)
    poisson = draw_counts(expected, CellNumbers(range(2000), seed=0, purpose=COUNTS))
    assert float(poisson.var()) == pytest.approx(3.0, rel=0.12)
    theta = torch.tensor([2.0])
    counts = draw_counts(expected, CellNumbers(range(2000), seed=0, purpose=COUNTS), inverse_dispersion=theta)
    assert float(counts.mean()) == pytest.approx(3.0, rel=0.06)
    assert float(counts.var()) == pytest.approx(3.0 + 9.0 / 2.0, rel=0.15)


def test_expected_information_is_the_sum_over_cells_of_the_prior() -> None:
    rng = np.random.default_rng(0)
    loadings, bias = 0.3 * rng.normal(size=(6, 2)), rng.normal(size=6)
    z = rng.normal(size=(200_000, 2))
    rate = np.exp(bias + z @ loadings.T)
    mu = 100.0 * rate / np.exp(bias + 0.5 * (loadings**2).sum(1)).sum()  # the normaliser as on average
    level = mu.sum(0)
    middle = mu.T @ z / level[:, None]
    information = np.einsum("ng,ni,nj->gij", mu, z, z) - level[:, None, None] * np.einsum("gi,gj->gij", middle, middle)
    share = np.exp(bias + 0.5 * (loadings**2).sum(1))
    found = expected_information(
        torch.tensor(loadings),
        torch.tensor(share / share.sum())[None],
        weights=torch.ones(1, dtype=torch.float64),
        centre=torch.zeros(1, 2, dtype=torch.float64),
        covariance=torch.eye(2, dtype=torch.float64)[None],
        dispersion=torch.zeros(6, dtype=torch.float64),
        cells=200_000.0,
        depth=100.0,
    )
    np.testing.assert_allclose(found[0], level, rtol=0.02)
    np.testing.assert_allclose(found[1], middle, atol=0.02)
    np.testing.assert_allclose(found[2] / found[0][:, None, None], information / level[:, None, None], atol=0.03)


@pytest.fixture(scope="module")
def trained() -> tuple[ICM, np.ndarray, np.ndarray]:
    adata = simulate_counts(400, 200, depth=1000, seed=2)
    adata = adata[:, adata.X.getnnz(axis=0) >= 3].copy()
    ICM.setup_anndata(adata)
    model = ICM(adata, seed=0)
    model.train(enable_progress_bar=False)
    counts, truth = adata.X.toarray(), np.asarray(adata.layers["truth"], dtype=float)
    return model, counts, truth * (counts.sum(1) / truth.sum(1))[:, None]


@pytest.mark.trains
def test_intervals_of_a_trained_model_cover(trained: tuple[ICM, np.ndarray, np.ndarray]) -> None:
    model, counts, truth = trained
    low, high = model.get_denoised(quantiles=(0.05, 0.95))
    found = coverage(truth, low, high, level=0.9, expression=truth.mean(0), depth=counts.sum(1))
    assert 0.87 < float(found.overall[0]) < 0.94
    assert float(found.by_depth.min()) > 0.85


@pytest.mark.trains
def test_getters_agree(trained: tuple[ICM, np.ndarray, np.ndarray]) -> None:
    model, counts, _ = trained
    mean, sd = model.get_denoised(return_std=True)
    np.testing.assert_array_equal(mean, model.get_denoised())
    rows, arguments = [7, 250, 3], {"estimator": "sample", "n_samples": 3, "return_mean": False, "seed": 4}
    every = model.get_denoised(**arguments)
    some = model.get_denoised(indices=rows, batch_size=2, gene_list=model.gene_names_[5:9], **arguments)
    np.testing.assert_allclose(some, every[:, rows][:, :, 5:9], rtol=1e-4, atol=1e-6)
    averaged = model.get_denoised(estimator="sample", n_samples=3, seed=4)
    np.testing.assert_allclose(averaged, every.mean(0), rtol=1e-4, atol=1e-6)
    # ten thousand entries, three draws: the mean of the squared standard scores is one
    score = (every.mean(0) - mean) / sd * 3**0.5
    assert float(np.square(score[mean > 0.05]).mean()) == pytest.approx(1.0, abs=0.1)
    drawn = model.posterior_predictive_sample(n_samples=4)
    assert float((drawn == 0).mean()) == pytest.approx(float((counts == 0).mean()), abs=0.01)
    assert float(np.median(drawn.var(axis=1).mean(0) / counts.var(0))) == pytest.approx(1.0, abs=0.08)


@pytest.mark.trains
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantiles": (0.1, 1.0)}, "strictly between"),
        ({"quantiles": ()}, "strictly between"),
        ({"quantiles": (0.1,), "return_std": True}, "cannot be combined"),
        ({"return_std": True, "estimator": "transport"}, "available with estimator=.mean."),
        ({"return_std": True, "return_numpy": False}, "does not fit in one data frame"),
    ],
)
def test_what_has_no_meaning_is_refused(trained: tuple[ICM, np.ndarray, np.ndarray], arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        trained[0].get_denoised(**arguments)
