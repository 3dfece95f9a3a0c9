from __future__ import annotations

import numpy as np
import pytest

from scif.datasets import simulate_counts


def test_truth_has_the_stated_library_sizes_and_depth():
    adata = simulate_counts(3000, 100, depth=700.0, depth_spread=0.3)
    np.testing.assert_allclose(adata.layers["truth"].sum(axis=1), adata.obs["library_size"], rtol=1e-5)
    size = adata.obs["library_size"]
    assert abs(size.mean() / 700.0 - 1.0) < 4 * 0.3 / np.sqrt(3000)
    assert abs(np.log(size).std() - 0.3) < 0.02


@pytest.mark.parametrize("inverse_dispersion", [None, 2.0])
def test_counts_have_the_mean_and_variance_of_their_channel(inverse_dispersion):
    adata = simulate_counts(3000, 200, inverse_dispersion=inverse_dispersion, seed=3)
    mean = adata.layers["truth"].astype(np.float64)
    variance = mean + (0.0 if inverse_dispersion is None else mean**2 / inverse_dispersion)
    z = (adata.X.toarray() - mean) / np.sqrt(variance)
    # entries are independent given the truth; those with a mean above one have moderate tails
    z = z[mean > 1.0]
    assert z.size > 100_000
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1.0) < 0.03


def test_gene_abundance_is_heavy_tailed_and_depth_varies():
    adata = simulate_counts(500, 2000)
    per_gene = adata.layers["truth"].mean(axis=0)
    assert np.quantile(per_gene, 0.99) / np.median(per_gene) > 20
    assert 0.1 < adata.X.nnz / np.prod(adata.shape) < 0.4


def test_a_seed_fixes_everything_and_truth_changes_nothing():
    first, again = (simulate_counts(1500, 50, n_batches=2, seed=5) for _ in range(2))
    without = simulate_counts(1500, 50, n_batches=2, seed=5, truth=False)
    other = simulate_counts(1500, 50, n_batches=2, seed=6)
    assert (first.X != again.X).nnz == 0
    assert (first.X != without.X).nnz == 0
    assert "truth" not in without.layers
    assert first.obs.equals(again.obs)
    assert (first.X != other.X).nnz > 0


def test_the_trajectory_is_a_stem_with_two_branches():
    adata = simulate_counts(1500, 400, seed=2)
    kind, s = adata.obs["cell_type"], adata.obs["pseudotime"]
    assert s.notna().equals(kind.isin(["type0", "type1", "type2"]))
    assert s[kind == "type0"].max() <= 0.5 <= s[kind.isin(["type1", "type2"])].min()
    log = np.log(adata.layers["truth"] / adata.obs["library_size"].to_numpy()[:, None])

    def gap(chosen):
        low, high = (log[(kind == name) & chosen].mean(axis=0) for name in ("type1", "type2"))
        return np.linalg.norm(low - high)

    assert gap(s > 0.9) > 3 * gap(s < 0.6)


def test_batches_differ_by_a_shift_of_log_expression_of_the_stated_size():
    adata = simulate_counts(4000, 300, n_types=1, trajectory=False, n_batches=2, batch_effect=0.5)
    log = np.log(adata.layers["truth"])
    log -= log.mean(axis=1, keepdims=True)
    shift = log[adata.obs["batch"] == "batch1"].mean(axis=0) - log[adata.obs["batch"] == "batch0"].mean(axis=0)
    assert abs(shift.std() / (np.sqrt(2) * 0.5) - 1.0) < 0.15


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_cells": 0}, "n_cells is 0"),
        ({"n_types": 2}, "n_types is 2.*trajectory=True"),
        ({"n_batches": 0}, "n_batches is 0"),
        ({"depth": -1.0}, "depth is -1"),
        ({"inverse_dispersion": float("nan")}, "inverse_dispersion is nan"),
    ],
)
def test_bad_arguments_are_named(arguments, match):
    with pytest.raises(ValueError, match=match):
        simulate_counts(**{"n_cells": 10, "n_genes": 10, **arguments})
