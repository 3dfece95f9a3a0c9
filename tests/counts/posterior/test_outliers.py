"""Counts beyond belief: Bayes' rule says which."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse, special, stats

from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.outliers import CHANCE, SHAPE, Outliers, find_outliers


def found(
    x: list[float], mu: list[float], shape: list[float], *, t: float = 1.0, theta: float | None = None
) -> Outliers:
    """Of one cell."""
    technical = None if theta is None else torch.full((len(x),), theta, dtype=torch.float64)
    parts = (torch.tensor([part], dtype=torch.float64) for part in (x, mu, shape))
    return find_outliers(*parts, noise=torch.tensor([t**2], dtype=torch.float64), inverse_dispersion=technical)


@pytest.mark.parametrize(("x", "mu", "shape"), [(40.0, 0.003, 0.02), (12.0, 0.4, 2.0), (300.0, 20.0, 5.0)])
def test_weight_and_mean_are_those_of_two_gamma_distributions_by_quadrature(x: float, mu: float, shape: float) -> None:
    def moments(own: float) -> tuple[float, float]:
        """Evidence and posterior mean of the clean signal, by a sum over its logarithm."""
        logs = np.linspace(-80.0, 10.0, 400_001)
        clean = np.exp(logs)
        density = stats.gamma.logpdf(clean, own, scale=mu / own) + stats.poisson.logpmf(x, clean) + logs
        evidence = special.logsumexp(density)
        return evidence + np.log(logs[1] - logs[0]), float(np.exp(special.logsumexp(density + logs) - evidence))

    (usual, _), (loose, value) = moments(shape), moments(SHAPE * mu)
    odds = np.log(CHANCE / (1.0 - CHANCE)) + loose - usual
    seen = found([x], [mu], [shape])
    assert seen.weight.item() == pytest.approx(special.expit(odds), rel=1e-3)
    assert mu + seen.share.item() * (x - mu) == pytest.approx(value, rel=1e-6)


def test_what_belief_covers_is_not_outlying() -> None:
    """Single molecules, expected counts, counts below their expectation and those of genes that vary widely anyway."""
    assert len(found([1.0, 5.0, 2.0, 50.0], [1e-9, 4.0, 90.0, 1.0], [9.0, 9.0, 9.0, 1e-3]).rows) == 0


@pytest.mark.parametrize("kind", ["poisson", "negative binomial"])
def test_draws_from_the_model_hardly_ever_are(kind: str) -> None:
    rng, mu, shape = np.random.default_rng(0), rng_means(), 0.5
    theta = None if kind == "poisson" else 2.0
    clean = rng.gamma(shape, mu / shape)
    x = rng.poisson(clean if theta is None else clean * rng.gamma(theta, 1.0 / theta, clean.shape))
    seen = found(x.tolist(), mu.tolist(), [shape] * len(mu), theta=theta)
    assert float(seen.weight.sum()) < 2e-4 * len(mu)


def rng_means() -> np.ndarray:
    return np.exp(np.random.default_rng(1).normal(-1.0, 2.0, 50_000))


def test_technical_noise_explains_more() -> None:
    without, with_noise = (found([30.0], [2.0], [5.0], theta=theta) for theta in (None, 1.0))
    assert without.weight.item() > 0.9
    assert len(with_noise.rows) == 0 or with_noise.weight.item() < 0.5


def test_with_less_noise_more_is_left_to_the_count() -> None:
    early, late = (found([40.0], [0.003], [0.02], t=t) for t in (0.2, 1.0))
    assert late.share.item() < early.share.item() < 1.0


def test_sparse_and_dense_counts_say_the_same() -> None:
    x = np.random.default_rng(0).poisson(0.3, (20, 50)).astype(np.float32)
    x[3, 4], x[7, 8] = 60.0, 90.0
    mu, shape = torch.full((20, 50), 0.3), torch.full((50,), 3.0)
    stored = SparseCounts.from_scipy(sparse.csr_matrix(x))
    dense, kept = (find_outliers(counts, mu, shape) for counts in (torch.from_numpy(x), stored))
    assert dense.rows.tolist() == [3, 7]
    for name in ("rows", "columns", "weight", "share"):
        torch.testing.assert_close(getattr(kept, name), getattr(dense, name))


def test_entries_are_put_in_by_their_weight() -> None:
    usual = torch.tensor([[0.1, 40.0], [5.0, 90.0]])
    seen = Outliers(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([1.0, 0.5]), torch.zeros(2))
    torch.testing.assert_close(seen.into(usual, torch.tensor([30.0, 10.0])), torch.tensor([[30.0, 40.0], [5.0, 50.0]]))
    assert usual[0, 0] == 0.1


def test_without_outlying_counts_an_array_stays() -> None:
    usual, none = torch.rand(1, 1), found([1.0], [1.0], [1.0])
    assert none.into(usual, none.share) is usual
