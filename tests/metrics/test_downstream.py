from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from scif.metrics import (
    called_genes,
    depth_recovery,
    differential_p_values,
    diffusion_pseudotime,
    fold_change_slope,
    label_agreement,
    log_fold_changes,
    marker_recall,
    mixture_proportions,
    mixture_r2,
    neighbour_agreement,
    over_smoothing,
    pair_correlations,
    permute_genes,
    permuted_false_positives,
    pooled_profile,
    pseudotime_correlation,
    strongest_pairs,
    truncated_svd,
)


def logged(X):
    return np.log1p(1e4 * X / X.sum(axis=1, keepdims=True))


class TestDepthRecovery:
    def test_is_perfect_for_the_truth_at_any_depth(self, simulated):
        truth, types = simulated.layers["truth"], simulated.obs["cell_type"]
        found = depth_recovery(0.1 * truth, truth, labels=types, min_deep=0.1).means()
        expected = {
            "cell_correlation": 1.0,
            "gene_correlation": 1.0,
            "within_type_correlation": 1.0,
            "relative_error": 0.0,
        }
        assert found == pytest.approx(expected, abs=1e-5)

    def test_agrees_with_numpy(self, simulated):
        X, deep = simulated.X.toarray(), simulated.layers["truth"]
        found = depth_recovery(simulated.X, deep, min_deep=3.0)
        a, b = (logged(x)[:, found.genes] for x in (X, deep))
        np.testing.assert_array_equal(found.genes, np.flatnonzero(deep.mean(axis=0) >= 3.0))
        assert found.cell_correlation[7] == pytest.approx(np.corrcoef(a[7], b[7])[0, 1])
        assert found.gene_correlation[2] == pytest.approx(np.corrcoef(a[:, 2], b[:, 2])[0, 1])
        assert found.relative_error == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(b))

    def test_one_profile_for_all_cells_has_no_correlation_over_cells(self, simulated):
        found = depth_recovery(pooled_profile(simulated.X), simulated.layers["truth"])
        assert not found.gene_correlation.any()
        assert found.cell_correlation.mean() > 0.3

    def test_type_means_have_none_within_types(self, simulated):
        truth, types = simulated.layers["truth"], simulated.obs["cell_type"].to_numpy()
        shares = truth / truth.sum(axis=1, keepdims=True)
        flat = np.stack([shares[types == t].mean(axis=0) for t in types])
        found = depth_recovery(flat, truth, labels=types).means()
        assert found["within_type_correlation"] == pytest.approx(0.0, abs=1e-6)
        assert found["gene_correlation"] > 0.3


class TestFoldChanges:
    def test_are_known_ratios(self):
        shares = np.array([[0.2, 0.3, 0.5], [0.1, 0.3, 0.6]])
        X = np.repeat(shares, 5, axis=0) * np.arange(1, 11)[:, None] * 100
        groups = np.repeat(["a", "b"], 5)
        for stored in (X, sparse.csr_matrix(X)):
            found = log_fold_changes(stored, groups, group="a", pseudocount=1e-9)
            np.testing.assert_allclose(found, np.log2(shares[0] / shares[1]), atol=1e-9)
            found = log_fold_changes(stored, groups, group="a", reference="b", average="log")
            expected = np.log2((1e4 * shares[0] + 1) / (1e4 * shares[1] + 1))
            np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_slope_is_that_of_least_squares(self):
        rng = np.random.default_rng(0)
        true = rng.normal(size=50)
        estimated = 0.3 + 0.7 * true + 0.1 * rng.normal(size=50)
        assert fold_change_slope(estimated, true) == pytest.approx(stats.linregress(true, estimated).slope)

    def test_nonsense_is_refused(self):
        with pytest.raises(ValueError, match="true does not vary"):
            fold_change_slope([1.0, 2.0], [1.0, 1.0])
        with pytest.raises(ValueError, match="group 'c' has 0 cells"):
            log_fold_changes(np.ones((4, 2)), ["a", "a", "b", "b"], group="c")
        with pytest.raises(ValueError, match="average is 'median'"):
            log_fold_changes(np.ones((4, 2)), ["a", "a", "b", "b"], group="a", average="median")
        with pytest.raises(ValueError, match="missing for 1 cells"):
            log_fold_changes(np.ones((5, 2)), np.array(["a", "a", "b", "b", None], dtype=object), group="a")


class TestDifferential:
    @pytest.mark.parametrize("test", ["t", "wilcoxon"])
    def test_p_values_are_those_of_scipy_and_constant_genes_are_never_called(self, test):
        X = np.random.default_rng(0).poisson(6.0, (60, 7)).astype(float)
        X[:, 3] = 0
        one = np.arange(60) < 20
        values = logged(X)
        p = differential_p_values(sparse.csr_matrix(X), one, group=True, test=test)
        expected = (
            stats.ttest_ind(values[one, 1], values[~one, 1], equal_var=False)
            if test == "t"
            else stats.mannwhitneyu(values[one, 1], values[~one, 1], method="asymptotic")
        )
        assert p[1] == pytest.approx(expected.pvalue)
        assert p[3] == 1.0

    def test_random_groups_call_the_level_on_average(self):
        X = np.random.default_rng(0).poisson(8.0, (80, 300))
        for test in ("t", "wilcoxon"):
            rates = permuted_false_positives(X, n_permutations=30, test=test)
            assert rates.mean() == pytest.approx(0.05, abs=0.01)

    def test_denoised_genes_are_called_together(self):
        X = np.random.default_rng(0).poisson(8.0, (80, 300))
        counts, svd = (permuted_false_positives(x, n_permutations=30) for x in (X, truncated_svd(X, 2)))
        assert svd.std() > 4 * counts.std()

    def test_calls_are_counted(self):
        p = [1e-9, 1e-9, 0.9, 1e-9, 0.8, 1e-9]
        found = called_genes(p, [True, True, True, False, False, False], null=[3, 4])
        assert (found.recall, found.precision, found.null_called, found.n_called) == (2 / 3, 0.5, 0.5, 4)
        nothing = called_genes(np.ones(3), [True, False, False])
        assert (nothing.recall, nothing.precision, nothing.null_called) == (0.0, 1.0, None)

    def test_nonsense_is_refused(self):
        with pytest.raises(ValueError, match="test is 'z'"):
            differential_p_values(np.ones((4, 2)), [0, 0, 1, 1], group=0, test="z")
        with pytest.raises(ValueError, match="size is 3 of 4 cells"):
            permuted_false_positives(np.ones((4, 2)), size=3)
        with pytest.raises(ValueError, match="differs holds no gene"):
            called_genes([0.1], [False])


class TestPairs:
    def test_correlations_agree_with_numpy_and_scipy(self, simulated):
        values = logged(simulated.X.toarray())
        found = pair_correlations(simulated.X, [[4, 2], [2, 9]])
        np.testing.assert_allclose(found, [np.corrcoef(values[:, i], values[:, j])[0, 1] for i, j in ((4, 2), (2, 9))])
        rank = pair_correlations(simulated.X, [[4, 2]], method="spearman")[0]
        assert rank == pytest.approx(stats.spearmanr(values[:, 4], values[:, 2]).statistic)

    def test_strongest_pairs_are_the_strongest(self, simulated):
        truth = simulated.layers["truth"]
        pairs = strongest_pairs(truth, 20, min_mean=2.0)
        strength = pair_correlations(truth, pairs)
        assert (np.diff(strength) <= 1e-12).all()
        genes = np.flatnonzero(truth.mean(axis=0) >= 2.0)
        matrix = np.corrcoef(logged(truth)[:, genes], rowvar=False)
        assert strength[0] == pytest.approx(matrix[np.triu_indices(genes.size, 1)].max())

    def test_shuffled_pairs_lose_their_correlation(self, simulated):
        deep = np.random.default_rng(0).poisson(50 * simulated.layers["truth"])
        pairs = strongest_pairs(deep, 20)
        shuffled = permute_genes(deep, np.unique(pairs[:, 0]))
        assert pair_correlations(deep, pairs).min() > 0.5
        assert np.abs(pair_correlations(shuffled, pairs)).mean() < 0.15

    def test_pairs_must_be_columns(self):
        with pytest.raises(ValueError, match="pairs has shape"):
            pair_correlations(np.ones((3, 3)), [[0, 3]])


class TestLabels:
    @pytest.mark.trains
    def test_separate_groups_are_found_from_counts_and_from_coordinates(self):
        rng = np.random.default_rng(0)
        types = np.repeat(["a", "b", "c"], 50)
        profiles = rng.dirichlet(np.ones(60), 3) * 3000
        X = rng.poisson(np.repeat(profiles, 50, axis=0))
        for found in (
            label_agreement(X, types, resolutions=(0.2, 1.0)),
            label_agreement(np.repeat(np.eye(3), 50, axis=0) * 9 + rng.normal(size=(150, 3)), types, embedding=True),
        ):
            assert found.best_ari == 1.0
            assert found.neighbours == 1.0
            assert found.silhouette > 0.5
        assert found.ari_at(1.0) == found.to_frame().loc[1.0, "ari"]
        with pytest.raises(ValueError, match="resolution is 7"):
            found.ari_at(7.0)

    @pytest.mark.trains
    def test_random_labels_agree_with_nothing(self, simulated):
        labels = np.random.default_rng(0).integers(0, 4, simulated.n_obs)
        found = label_agreement(simulated.X, labels, resolutions=(1.0,))
        assert abs(found.best_ari) < 0.05
        assert found.neighbours == pytest.approx(0.25, abs=0.04)

    def test_neighbours_of_a_small_group_are_as_many_as_it_has(self):
        line = np.array([0.0, 0.1, 0.2, 9.0, 9.1, 9.2, 9.3, 9.4])[:, None]
        assert (neighbour_agreement(line, ["a"] * 3 + ["b"] * 5, n_neighbors=7) == 1.0).all()

    def test_one_label_is_refused(self):
        with pytest.raises(ValueError, match="two or more groups"):
            label_agreement(np.ones((9, 9)), ["a"] * 9)


class TestMixtures:
    def test_known_mixtures_come_back(self):
        rng = np.random.default_rng(0)
        pure = rng.dirichlet(np.ones(80), 3)
        known = np.concatenate([np.eye(3), rng.dirichlet(np.ones(3), 30)])
        depth = rng.uniform(10, 90, (33, 1))
        np.testing.assert_allclose(mixture_proportions(known @ pure * depth, 7 * pure), known, atol=1e-6)
        assert mixture_r2(sparse.csr_matrix(known @ pure * depth), known) == pytest.approx(1.0)
        noisy = mixture_r2(rng.poisson(known @ pure * 1000), known)
        assert 0.8 < noisy < 1.0
        flat = mixture_r2(np.where(known.max(axis=1, keepdims=True) == 1, known @ pure, pure.mean(axis=0)), known)
        assert flat < 0.05

    def test_pure_cells_are_needed(self):
        with pytest.raises(ValueError, match=r"components \[1\] have no pure cell"):
            mixture_r2(np.ones((3, 2)), [[1, 0], [0.5, 0.5], [0.2, 0.8]])


class TestRareAndTime:
    def test_markers_kept_are_a_ratio_of_molecules(self, simulated):
        cells, markers = np.arange(5), np.arange(0, 300, 10)
        np.testing.assert_allclose(marker_recall(0.7 * simulated.X, simulated.X, cells, markers), 0.7, rtol=1e-6)
        flat = marker_recall([[0, 1.0], [1, 1]], [[2, 0], [0, 5]], [True, True], [0])
        assert flat[0] == 0.0
        assert np.isnan(flat[1])
        with pytest.raises(ValueError, match="none of the 1 cells"):
            marker_recall(np.ones((2, 2)), [[1, 0], [1, 1]], [0], [1])

    def test_time_is_compared_within_lineages(self):
        time, lineage = np.tile(np.arange(10.0), 2), np.repeat(["a", "b"], 10)
        estimated = np.concatenate([time[:10] ** 2, -time[10:]])
        assert pseudotime_correlation(estimated, time, lineages=lineage) == pytest.approx(0.0)
        assert pseudotime_correlation(np.zeros(20), time) == 0.0
        with pytest.raises(ValueError, match="has 1 cells"):
            pseudotime_correlation([1, 2, 3, 4], [1, 2, 3, 4], lineages=["a", "a", "a", "b"])

    @pytest.mark.trains
    def test_diffusion_pseudotime_orders_cells_of_a_path(self):
        rng = np.random.default_rng(0)
        time = rng.random(150)
        ends = rng.dirichlet(np.ones(40), 2) * 4000
        X = rng.poisson(np.outer(1 - time, ends[0]) + np.outer(time, ends[1]))
        found = diffusion_pseudotime(X, int(time.argmin()))
        assert found[time.argmin()] == 0.0
        assert pseudotime_correlation(found, time) > 0.95
        with pytest.raises(ValueError, match="root is 150"):
            diffusion_pseudotime(X, 150)


class TestOverSmoothing:
    def test_nothing_changes_where_nothing_is_done(self, simulated):
        types = simulated.obs["cell_type"]
        panel = over_smoothing(simulated.X, simulated.X, denoised_null=simulated.X, clusters=types)
        np.testing.assert_allclose(panel.correlation_denoised, panel.correlation_observed)
        np.testing.assert_allclose(panel.correlation_null, panel.correlation_observed)
        np.testing.assert_allclose(panel.variance_within, 1.0)
        assert not panel.zeros_positive.any()
        assert panel.to_frame().shape == (5, 2)

    def test_flat_clusters_have_no_variance_and_shuffled_genes_tell_invention(self, simulated):
        types = simulated.obs["cell_type"].to_numpy()
        X = simulated.X.toarray()
        flat = np.stack([X[types == t].mean(axis=0) for t in types])
        null = truncated_svd(permute_genes(simulated.X, np.arange(300)), 2)
        panel = over_smoothing(flat, simulated.X, denoised_null=null, clusters=types, n_genes=50)
        np.testing.assert_allclose(panel.variance_within, 0.0, atol=1e-9)
        assert panel.correlation_null.mean() > 3 * panel.correlation_observed.mean()
        assert panel.genes.size == 50

    def test_zeros_are_counted_gene_by_gene(self):
        observed = np.array([[0, 3, 1], [0, 0, 1], [2, 0, 1]])
        denoised = np.array([[0.6, 3, 0], [0.1, 0.5, 1], [0.9, 0.2, 1]])
        panel = over_smoothing(sparse.csr_matrix(denoised), observed)
        assert panel.zeros_positive.tolist() == [0.5, 0.5, 0.0]
