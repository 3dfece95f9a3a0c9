from __future__ import annotations

import numpy as np
import pytest

from scif.metrics import (
    composition_error,
    gene_correlation_error,
    mean_absolute_correlation,
    permute_genes,
    pooled_profile,
    truncated_svd,
    variance_kept,
)


def test_composition_error_is_a_bounded_distance_that_ignores_depth(simulated):
    truth = simulated.layers["truth"]
    depth = np.linspace(0.1, 9.0, truth.shape[0])[:, None]
    np.testing.assert_allclose(composition_error(depth * truth, truth), 0.0, atol=1e-6)
    error = composition_error(simulated.X, truth)
    np.testing.assert_allclose(error, composition_error(simulated.X.toarray(), truth))
    assert ((error > 0) & (error <= 1)).all()


def test_composition_error_of_disjoint_and_empty_cells_is_one():
    assert composition_error([[0, 4], [0, 0]], [[1.0, 0.0], [0.5, 0.5]]).tolist() == [1.0, 1.0]


def test_low_rank_is_closer_to_the_truth_than_counts_and_than_no_biology(simulated):
    truth = simulated.layers["truth"]
    low_rank, pooled = truncated_svd(simulated.X, 8), pooled_profile(simulated.X)
    assert composition_error(low_rank, truth).mean() < 0.8 * composition_error(simulated.X, truth).mean()
    assert composition_error(low_rank, truth).mean() < 0.8 * composition_error(pooled, truth).mean()
    assert gene_correlation_error(low_rank, truth) < gene_correlation_error(simulated.X, truth)


def test_permutation_touches_the_chosen_genes_only_and_repeats_itself(pbmc):
    chosen = np.arange(0, 765, 3)
    null = permute_genes(pbmc.X, chosen, seed=1)
    others = np.setdiff1d(np.arange(765), chosen)
    assert null.has_canonical_format
    assert (null[:, others] != pbmc.X[:, others]).nnz == 0
    assert (null[:, chosen] != pbmc.X[:, chosen]).nnz > 0
    assert (null != permute_genes(pbmc.X, chosen, seed=1)).nnz == 0


def test_permutation_moves_counts_where_libraries_are_equal_and_rates_elsewhere():
    counts = np.random.default_rng(0).poisson(40.0, (2000, 2))
    counts[:, 1] = 100 - counts[:, 0]
    null = permute_genes(counts, [0])[:, 0].toarray().ravel()
    assert np.array_equal(np.sort(null), np.sort(counts[:, 0]))
    assert not np.array_equal(null, counts[:, 0])

    library = np.where(np.arange(2000) % 2, 300, 3000)
    rated = np.random.default_rng(0).binomial(library, 0.3)
    null = permute_genes(np.stack([rated, library - rated], axis=1), [0])[:, 0].toarray().ravel()
    for deep in (0, 1):
        assert null[deep::2].mean() == pytest.approx(0.3 * library[deep], rel=0.01)


def test_permutation_of_counts_keeps_every_count(pbmc):
    null = permute_genes(pbmc.X, [3, 7], kind="count")
    for gene in (3, 7):
        before, after = (x[:, [gene]].toarray().ravel() for x in (pbmc.X, null))
        assert np.array_equal(np.sort(before), np.sort(after))
        assert not np.array_equal(before, after)
    with pytest.raises(ValueError, match="kind='counts' is unknown"):
        permute_genes(pbmc.X, [3], kind="counts")


def test_constant_genes_are_uncorrelated_whatever_rounding_does_to_them():
    rng = np.random.default_rng(0)
    library = rng.lognormal(3.0, 1.0, size=400).astype(np.float32)
    profile = rng.dirichlet(np.full(40, 0.5)).astype(np.float32)
    assert mean_absolute_correlation(library[:, None] * profile, [0, 3, 7]) == 0.0


def test_permuted_genes_are_uncorrelated_until_a_denoiser_mixes_them_in(pbmc):
    chosen = np.argsort(-pbmc.X.mean(axis=0).A1)[10:40]
    null = permute_genes(pbmc.X, chosen)
    expected_by_chance = np.sqrt(2 / np.pi / pbmc.n_obs)
    assert mean_absolute_correlation(pbmc.X, chosen) > 1.5 * expected_by_chance
    assert mean_absolute_correlation(null, chosen) < 1.5 * expected_by_chance
    assert mean_absolute_correlation(truncated_svd(null, 2), chosen) > 4 * expected_by_chance


def test_correlation_agrees_with_numpy():
    rng = np.random.default_rng(0)
    X = rng.poisson(4.0, (60, 6))
    log = np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))
    matrix = np.corrcoef(log, rowvar=False)
    assert mean_absolute_correlation(X, [0, 4]) == pytest.approx(np.abs(matrix[[0, 4]][:, [1, 2, 3, 5]]).mean())


def test_variance_kept_is_one_for_the_truth_and_tells_noise_from_flattening(simulated):
    truth, groups = simulated.layers["truth"], simulated.obs["cell_type"]
    same = variance_kept(3.0 * truth, truth, groups)
    assert (same.between, same.within) == pytest.approx((1.0, 1.0), rel=1e-5)
    flat = truth.copy()
    for group in groups.unique():
        flat[groups == group] = flat[groups == group].mean(axis=0)
    flattened = variance_kept(flat, truth, groups)
    assert flattened.within == pytest.approx(0.0, abs=1e-6)
    assert flattened.between > 0.5
    assert variance_kept(simulated.X, truth, groups).within > 2.0


def test_groups_must_name_every_cell(simulated):
    with pytest.raises(ValueError, match=r"groups has shape \(3,\)"):
        variance_kept(simulated.X, simulated.layers["truth"], ["a", "b", "c"])
