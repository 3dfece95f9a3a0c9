from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import poisson

from scif.metrics import (
    open_problems_mse,
    open_problems_poisson,
    poisson_nll,
    pooled_profile,
    split_counts,
    truncated_svd,
)


def test_nll_is_that_of_scipy_up_to_a_constant_of_the_data():
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, size=(1500, 20))
    first, second = rng.gamma(4.0, 0.5, size=(2, 1500, 20))
    ours = poisson_nll(first, counts) - poisson_nll(second, counts)
    theirs = (poisson.logpmf(counts, second) - poisson.logpmf(counts, first)).mean()
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_nll_is_least_at_the_truth(simulated):
    split = split_counts(simulated.X)
    truth = simulated.layers["truth"]
    scale = split.test.sum() / truth.sum()
    best = poisson_nll(truth, split.test, scale=scale)
    assert best < poisson_nll(truth**0.9, split.test, scale=split.test.sum() / (truth**0.9).sum())
    assert best < poisson_nll(truth**1.1, split.test, scale=split.test.sum() / (truth**1.1).sum())
    assert best < poisson_nll(truth, split.test, scale=1.1 * scale)


@pytest.mark.parametrize("score", [poisson_nll, open_problems_mse, open_problems_poisson])
def test_sparse_and_dense_predictions_score_the_same(pbmc, score):
    split = split_counts(pbmc.X)
    assert score(split.train, split.test) == pytest.approx(score(split.train.toarray(), split.test.toarray()))


@pytest.mark.trains
def test_baselines_score_on_real_counts(pbmc):
    """Values of an independent dense implementation of the protocol."""
    split = split_counts(pbmc.X, 0.9, seed=0)
    predictions = {
        "none": split.train,
        "pooled": pooled_profile(split.train),
        "svd log": truncated_svd(split.train, 20),
        "svd sqrt": truncated_svd(split.train, 20, transform="sqrt"),
        "svd log 10": truncated_svd(split.train, 10),
    }
    scores = {name: poisson_nll(p, split.test, scale=split.scale) for name, p in predictions.items()}
    expected = {"none": 0.37915, "pooled": 0.21876, "svd log": 0.19559, "svd sqrt": 0.20523, "svd log 10": 0.19237}
    assert scores == pytest.approx(expected, abs=2e-5)
    errors = [open_problems_mse(predictions[name], split.test) for name in ("none", "svd log", "svd sqrt")]
    assert errors == pytest.approx([3.408, 3.762, 3.074], abs=2e-3)


def test_open_problems_poisson_is_ours_with_exchanged_arguments():
    rng = np.random.default_rng(1)
    counts, prediction = rng.poisson(1.0, (1100, 5)), rng.gamma(2.0, 1.0, (1100, 5))
    assert open_problems_poisson(prediction, counts, scale=0.5) == pytest.approx(poisson_nll(counts, 0.5 * prediction))


@pytest.mark.filterwarnings("error")
def test_cells_without_held_out_molecules_do_not_spoil_the_score():
    """Shallow cells, as of imaging panels, have none of their few molecules in the test part."""
    prediction, counts = np.full((2, 3), 0.5), np.array([[0, 0, 0], [1, 2, 1]])
    per_cell = [np.log1p(1e4 / 3) ** 2, ((np.log1p(1e4 / 3) - np.log1p([2500, 5000, 2500])) ** 2).mean()]
    assert open_problems_mse(prediction, counts) == pytest.approx(np.mean(per_cell))
    assert open_problems_mse(prediction, sparse.csr_matrix(counts)) == pytest.approx(np.mean(per_cell))


def test_open_problems_mse_ignores_depth():
    rng = np.random.default_rng(1)
    counts, prediction = rng.poisson(3.0, (30, 8)), rng.gamma(2.0, 1.0, (30, 8))
    depth = rng.uniform(1.0, 9.0, (30, 1))
    assert open_problems_mse(depth * prediction, counts) == pytest.approx(open_problems_mse(prediction, counts))


@pytest.mark.parametrize(
    ("prediction", "match"),
    [
        (np.ones((2, 3)), r"shape \(2, 3\) but the counts have shape \(2, 2\)"),
        (np.array([[1.0, -0.5], [1, 1]]), r"values in \[-0.5, 1\]"),
        (np.array([[1.0, np.nan], [1, 1]]), "nan"),
        (np.array([[1.0, np.inf], [1, 1]]), "inf"),
    ],
)
def test_bad_predictions_are_refused(prediction, match):
    with pytest.raises(ValueError, match=match):
        poisson_nll(prediction, np.ones((2, 2)))
