from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scif.metrics import (
    molecular_cross_validation,
    poisson_nll,
    pooled_profile,
    split_counts,
    to_counts,
    truncated_svd,
    tuned_svd,
)
from scif.metrics._scale import wrong_scale


def none(adata):
    return adata.X


def none_of(X):
    return X


@pytest.mark.trains
def test_rows_are_the_methods_and_equal_the_metric(pbmc):
    result = molecular_cross_validation(
        pbmc, {"p": lambda a: pooled_profile(a.X), "n": none}, n_splits=2, fraction=0.8, seed=4
    )
    assert result.methods == ("p", "n", "no denoising", "pooled profile", "tuned SVD")
    assert result.own == (True, True, False, False, False)
    for i in range(2):
        split = split_counts(pbmc.X, 0.8, seed=4 + i)
        expected = poisson_nll(pooled_profile(split.train), split.test, scale=split.scale)
        assert result.scores[0, i] == pytest.approx(expected)
    table = result.to_frame()
    np.testing.assert_allclose(table["poisson_nll"], result.scores.mean(axis=1))
    np.testing.assert_allclose(table["spread"], result.scores.std(axis=1, ddof=1))
    assert table.loc["p", "gain"] == pytest.approx(0.0)
    assert result.best() == "tuned SVD"
    assert "tuned SVD" in repr(result)


def test_methods_see_training_counts_with_annotation(pbmc):
    pbmc.layers["counts"] = pbmc.X @ sparse.diags((np.arange(765) != 5).astype(float))  # gene 5 has no counts
    pbmc.X = np.log1p(pbmc.X.toarray())
    given = {}

    def method(adata):
        given["adata"] = adata
        return adata.X

    molecular_cross_validation(pbmc, {"m": method}, n_splits=1, layer="counts", baselines=False)
    adata = given["adata"]
    assert list(adata.var_names) == list(pbmc.var_names.delete(5))
    assert adata.obs["bulk_labels"].equals(pbmc.obs["bulk_labels"])
    assert (split_counts(pbmc.layers["counts"][:, np.arange(765) != 5]).train != adata.X).nnz == 0


@pytest.mark.trains
def test_the_scanpy_way_and_frames_score_as_arrays_do(pbmc):
    def in_place(adata):
        adata.X = pooled_profile(adata.X)

    def new_layer(adata):
        adata.layers["denoised"] = pooled_profile(adata.X)

    def returned(adata):
        adata = adata.copy()
        adata.X = pooled_profile(adata.X)
        return adata

    def frame(adata):
        return pd.DataFrame(pooled_profile(adata.X), adata.obs_names, adata.var_names)

    methods = {"in place": in_place, "layer": new_layer, "returned": returned, "frame": frame}
    result = molecular_cross_validation(pbmc, methods, n_splits=1)
    scores = result.to_frame()["poisson_nll"]
    np.testing.assert_allclose(scores[list(methods)], scores["pooled profile"])


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore:.*has no score")
def test_a_failing_method_does_not_lose_the_table(pbmc):
    def fails(adata):
        raise MemoryError("no room")

    def shuffled(adata):
        return pd.DataFrame(pooled_profile(adata.X), adata.obs_names[::-1], adata.var_names)

    methods = {
        "fails": fails,
        "nothing": lambda a: None,
        "short": lambda a: a.X[:10],
        "negative": lambda a: -a.X,
        "shuffled": shuffled,
        "good": none,
    }
    table = molecular_cross_validation(sparse.csc_matrix(pbmc.X), methods, n_splits=1).to_frame()
    assert table.loc["good", "poisson_nll"] == pytest.approx(0.37915, abs=1e-5)
    expected = {
        "fails": "MemoryError: no room",
        "nothing": "changed neither X nor",
        "short": r"shape \(10, 765\)",
        "negative": "not negative",
        "shuffled": "cells of the returned values are in another order",
        "good": "^$",
    }
    for name, reason in expected.items():
        assert pd.Series([table.loc[name, "problem"]]).str.contains(reason).all(), name
        assert np.isnan(table.loc[name, "poisson_nll"]) == (name != "good")


@pytest.mark.trains
def test_a_wrong_scale_is_refused_with_the_mend_and_read_once_it_is_named(simulated):
    def per_ten_thousand(adata):
        return to_counts(pooled_profile(adata.X), np.full(adata.shape, 1e4 / adata.n_vars))

    methods = {"10k": per_ten_thousand, "log": lambda a: np.log1p(per_ten_thousand(a))}
    with pytest.warns(UserWarning, match="has no score") as caught:
        refused = molecular_cross_validation(simulated, methods, n_splits=1)
    assert "scales={'10k': 'relative'}" in str(caught[0].message)
    assert "scales={'log': 'log1p'}" in str(caught[1].message)
    assert np.isnan(refused.scores[:2]).all()
    named = molecular_cross_validation(simulated, methods, n_splits=1, scales={"10k": "relative", "log": "log1p"})
    scores = named.to_frame()["poisson_nll"]
    np.testing.assert_allclose(scores[["10k", "log"]], scores["pooled profile"], rtol=1e-6)


@pytest.mark.parametrize(
    "denoise",
    [lambda X: X, pooled_profile, tuned_svd, lambda X: truncated_svd(X, 2)],
    ids=["none", "pooled", "tuned", "svd"],
)
@pytest.mark.parametrize(
    ("change", "scale"),
    [
        (lambda x, rows: x, None),
        (lambda x, rows: x / rows * 1e4, "relative"),
        (lambda x, rows: x / rows, "relative"),
        (lambda x, rows: np.log1p(x / rows * 1e4), "log1p"),
        (lambda x, rows: np.sqrt(x), "sqrt"),
        (lambda x, rows: 15 * x, "relative"),
    ],
    ids=["counts", "per ten thousand", "shares", "log-normalised", "square root", "summed over neighbours"],
)
def test_every_scale_is_told_from_counts(simulated, denoise, change, scale):
    X = simulated.X
    values = denoise(X)
    values = values.toarray() if sparse.issparse(values) else values
    found = wrong_scale(change(values, values.sum(axis=1, keepdims=True)), X)
    assert found is None if scale is None else f"better as {scale!r}" in found


def test_true_expectations_are_on_the_right_scale(simulated):
    assert wrong_scale(simulated.layers["truth"], simulated.X) is None


@pytest.mark.parametrize("transform", [None, "log1p", "sqrt"])
def test_scales_are_undone(simulated, transform):
    X = simulated.X.toarray()
    relative = X / X.sum(axis=1, keepdims=True) * 1e4
    values = relative if transform is None else getattr(np, transform)(relative)
    for stored in (values, sparse.csr_matrix(values)):
        back = to_counts(stored, simulated.X, scale=transform or "relative")
        np.testing.assert_allclose(back.toarray() if sparse.issparse(back) else back, X, rtol=1e-5, atol=1e-5)


def test_tuned_rank_is_no_worse_than_any_fixed_one(simulated):
    split = split_counts(simulated.X, 0.8, seed=3)
    tuned = poisson_nll(tuned_svd(split.train), split.test, scale=split.scale)
    for rank in (1, 5, 20):
        assert tuned < poisson_nll(truncated_svd(split.train, rank), split.test, scale=split.scale) + 1e-3


def test_arguments_are_checked(pbmc):
    with pytest.raises(ValueError, match="n_splits is 0"):
        molecular_cross_validation(pbmc, {}, n_splits=0)
    with pytest.raises(ValueError, match=r"scales names \['x'\]"):
        molecular_cross_validation(pbmc, {"n": none}, scales={"x": "log1p"})
    with pytest.raises(ValueError, match="leaves 0 for training"):
        molecular_cross_validation(pbmc, {"n": none}, min_cells=10_000)
    with pytest.raises(ValueError, match="scale is 'ln'"):
        to_counts(np.ones((2, 2)), np.ones((2, 2)), scale="ln")
    with pytest.raises(ValueError, match="give one from 1 to 2"):
        tuned_svd(np.ones((3, 5)), ranks=[7])
    with pytest.raises(ValueError, match="transform is 'cube'"):
        tuned_svd(np.ones((3, 5)), ranks=[1], transform="cube")
    bare = molecular_cross_validation(pbmc, {"n": none}, n_splits=1, baselines=False)
    assert bare.methods == ("n",)
    assert bare.to_frame()["gain"].isna().all()
