from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from scif.metrics import coverage, pit_of_draws, predictive_coverage, randomised_pit


def test_shares_are_those_counted_by_hand():
    values = np.arange(64.0).reshape(8, 8)
    lower, upper = np.zeros((8, 8)), np.full((8, 8), 100.0)
    upper[:2] = -1.0  # the two shallowest cells
    lower[:2] = -2.0
    upper[:, 6:] = -1.0  # and the two most abundant genes are never inside
    lower[:, 6:] = -2.0
    found = coverage(values, lower, upper, level=0.8)
    assert found.overall[0] == pytest.approx(36 / 64)
    np.testing.assert_allclose(found.by_depth[0], [0.0, 0.75, 0.75, 0.75])
    np.testing.assert_allclose(found.by_expression[0], [0.75, 0.75, 0.75, 0.0])
    assert found.worst() == pytest.approx(0.8)
    assert found.to_frame().shape == (1, 9)


def test_sparse_and_dense_values_and_many_cells_agree():
    rng = np.random.default_rng(0)
    values = rng.poisson(1.0, (1300, 9)).astype(float)
    ends = values + rng.normal(size=(2, *values.shape))
    ends.sort(axis=0)
    one, two = coverage(values, *ends), coverage(sparse.csr_matrix(values), *ends)
    inside = (values >= ends[0]) & (values <= ends[1])
    assert one.overall[0] == pytest.approx(inside.mean())
    np.testing.assert_array_equal(one.by_depth, two.by_depth)
    np.testing.assert_array_equal(one.by_expression, two.by_expression)


def test_quarters_tell_what_the_whole_hides():
    rng = np.random.default_rng(0)
    spread = np.repeat([0.5, 2.0], 500)[:, None]
    values = 10 + rng.normal(size=(1000, 40)) * spread
    ends = np.full((1000, 40), 10.0)
    found = coverage(values, ends - 1.5, ends + 1.5, depth=np.arange(1000))
    np.testing.assert_allclose(found.by_depth[0], [0.997, 0.997, 0.547, 0.547], atol=0.02)


def test_transform_is_uniform_under_the_right_law_and_only_there():
    rng = np.random.default_rng(0)
    mean = rng.gamma(0.3, 3.0, (500, 60))
    counts = rng.negative_binomial(2.0, 2.0 / (2.0 + mean))
    right, poisson = (randomised_pit(counts, mean, shape=s, seed=1) for s in (2.0, None))
    assert stats.kstest(right.ravel(), "uniform").pvalue > 0.01
    assert stats.kstest(poisson.ravel(), "uniform").pvalue < 1e-10
    assert stats.kstest(randomised_pit(rng.poisson(mean), mean, seed=1).ravel(), "uniform").pvalue > 0.01


def test_transform_lies_between_the_distribution_functions_of_scipy():
    rng = np.random.default_rng(0)
    mean, alpha = rng.gamma(2.0, 2.0, (600, 5)), np.array([0.5, 1.0, 2.0, 10.0, 1e4])
    counts = sparse.csr_matrix(rng.poisson(mean))
    y = counts.toarray()
    for shape, law in ((alpha, stats.nbinom(alpha, alpha / (alpha + mean))), (None, stats.poisson(mean))):
        pit = randomised_pit(counts, mean, shape=shape)
        assert (pit >= law.cdf(y - 1) - 1e-6).all()
        assert (pit <= law.cdf(y) + 1e-6).all()


def test_rank_among_draws_is_uniform():
    rng = np.random.default_rng(0)
    mean = rng.gamma(0.3, 3.0, (300, 50))
    pit = pit_of_draws(rng.poisson(mean), rng.poisson(mean, (19, 300, 50)))
    assert stats.kstest(pit.ravel(), "uniform").pvalue > 0.01


def test_predictive_coverage_meets_its_levels_for_sparse_counts():
    rng = np.random.default_rng(0)
    mean = rng.gamma(0.2, 1.0, (400, 100))
    found = predictive_coverage(
        randomised_pit(rng.poisson(mean), mean), expression=mean.mean(axis=0), depth=mean.sum(axis=1)
    )
    np.testing.assert_allclose(found.overall, found.levels, atol=0.01)
    assert found.worst() < 0.02


def test_nonsense_is_refused():
    ones = np.ones((5, 5))
    with pytest.raises(ValueError, match="lower is above upper, or missing, in 25"):
        coverage(ones, ones, 0 * ones)
    with pytest.raises(ValueError, match="in 1 entries"):
        coverage(ones, np.where(np.eye(5) * np.arange(5) == 1, np.nan, 0.0), ones)
    with pytest.raises(ValueError, match=r"upper has shape \(4, 5\)"):
        coverage(ones, ones, ones[1:])
    with pytest.raises(ValueError, match="depth has 3 values"):
        coverage(ones, ones, ones, depth=[1, 2, 3])
    with pytest.raises(ValueError, match="shape has values down to 0"):
        randomised_pit(ones, ones, shape=0.0)
    with pytest.raises(ValueError, match="levels is"):
        predictive_coverage(ones, levels=[1.0])
    with pytest.raises(ValueError, match="values in"):
        predictive_coverage(2 * ones)
    with pytest.raises(ValueError, match="draws has shape"):
        pit_of_draws(ones, ones)
