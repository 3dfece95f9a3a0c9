"""What is refused at setup, and that nothing is changed by a refusal."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scvi
from scipy import sparse

import scif
from scif.model import ICM


def make(x=None) -> ad.AnnData:
    rng = np.random.default_rng(0)
    x = rng.poisson(2.0, (30, 12)).astype(np.float32) + 1 if x is None else x
    data = ad.AnnData(sparse.csr_matrix(x))
    data.obs["batch"] = np.resize(["a", "b"], data.n_obs)
    data.obs["factor"] = 1.0
    return data


def broken(row: int, gene: int, value: float) -> ad.AnnData:
    data = make()
    data.X[row, gene] = value
    return data


def state(data: ad.AnnData) -> tuple:
    x = data.X.toarray() if sparse.issparse(data.X) else np.asarray(data.X)
    return list(data.obs), list(data.var), list(data.uns), list(data.layers), x.tobytes()


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_bad_values_name_cell_and_gene(value):
    data = broken(17, 5, value)
    before = state(data)
    with pytest.raises(ValueError, match=r"cell '17', gene '5'"):
        ICM.setup_anndata(data)
    assert state(data) == before


def test_cells_without_counts_are_named():
    x = np.ones((5, 4), dtype=np.float32)
    x[[1, 3]] = 0
    with pytest.raises(ValueError, match=r"'1', '3'.*filter_cells"):
        ICM.setup_anndata(make(x))


@pytest.mark.parametrize("transform", ["log1p", "log2", "log1p without normalising", "scaled to one depth"])
def test_log_transformed_data_are_refused(transform):
    data = make(np.random.default_rng(1).poisson(1.0, (40, 25)) + (np.arange(25) == 0))
    if transform != "log1p without normalising":
        sc.pp.normalize_total(data, target_sum=1e4)
    sc.pp.log1p(data, base=2 if transform == "log2" else None)
    if transform == "scaled to one depth":  # log1p of corrected, fractional counts of one depth
        raw = np.random.default_rng(2).gamma(1.0, 1.0, (40, 25))
        data = make(np.log1p(1e3 * raw / raw.sum(1, keepdims=True)))
    with pytest.raises(ValueError, match="log-transformed"):
        ICM.setup_anndata(data)


def test_corrected_counts_warn_once():
    data = make(np.random.default_rng(2).gamma(1.0, 5.0, (40, 25)).astype(np.float32))
    with pytest.warns(UserWarning, match="not whole numbers") as caught:
        ICM.setup_anndata(data)
    assert sum("not whole" in str(w.message) for w in caught) == 1


def test_reads_are_told_from_molecules():
    rng = np.random.default_rng(4)
    rates = rng.gamma(0.2, 1.0, 300)
    molecules = rng.poisson(rates, (200, 300)) + (np.arange(300) == 0)
    molecules[:10, 1:9] += rng.poisson(20.0, (10, 8))  # markers of a few cells are no reason
    reads = rng.poisson(15.0 * molecules * rng.gamma(2.0, 0.5, molecules.shape)) + (np.arange(300) == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ICM.setup_anndata(make(molecules))
    with pytest.warns(UserWarning, match=r"looks like reads.*noise='nb'"):
        ICM.setup_anndata(make(reads))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: 2 * x, r"counted twice.*reads_to_fragments"),
        (lambda x: 2 * x - (np.random.default_rng(8).random(x.shape) < 0.3) * (x > 0), "counted twice"),
        (lambda x: np.minimum(x, 1), "looks binarised"),
        (lambda x: x + 1, "raised"),
    ],
    ids=["pairs", "most in pairs", "binary", "raised"],
)
@pytest.mark.parametrize("depth", [100.0, 1000.0])
def test_counts_that_no_molecules_give_are_told_once(change, said, depth):
    """Whatever the genes and cells are, k! times the number of entries that are k is log-convex for molecules."""
    molecules = scif.datasets.simulate_counts(150, 200, depth=depth, seed=6).X.toarray()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ICM.setup_anndata(make(molecules))
    with pytest.warns(UserWarning, match=said) as caught:
        ICM.setup_anndata(make(change(molecules)))
    ours = [one for one in caught if issubclass(one.category, UserWarning)]  # files of other tests may be closed now
    assert len(ours) == 1
    assert ours[0].filename == __file__


def test_fragments_are_no_pairs():
    data = make(2 * scif.datasets.simulate_counts(150, 200, depth=100.0, seed=6).X.toarray())
    with pytest.warns(UserWarning, match="counted twice"):
        ICM.setup_anndata(data)
    scvi.data.reads_to_fragments(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ICM.setup_anndata(data, layer="fragments")
    assert not caught


def test_one_fractional_value_among_many_is_seen():
    data = make(np.random.default_rng(3).poisson(3.0, (3000, 40)) + 1.0)
    data.X.data[-1] = 2.5
    with pytest.warns(UserWarning, match="1 entries"):
        ICM.setup_anndata(data)


def test_repeated_genes_are_named():
    data = make()
    data.var_names = ["x", "y", "x", *map(str, range(9))]
    with pytest.raises(ValueError, match=r"'x'.*var_names_make_unique"):
        ICM.setup_anndata(data)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"layer": "nope"}, "layer='nope'"), ({"batch_key": "nope"}, "batch_key='nope'"),
     ({"size_factor_key": "nope"}, "size_factor_key='nope'")],
)  # fmt: skip
def test_absent_keys_are_named(kwargs, match):
    data = make()
    before = state(data)
    with pytest.raises(ValueError, match=match):
        ICM.setup_anndata(data, **kwargs)
    assert state(data) == before


def test_missing_batches_and_bad_size_factors_name_cells():
    data = make()
    data.obs["batch"] = pd.Categorical(["a"] * 29 + [None])
    with pytest.raises(ValueError, match="'29'"):
        ICM.setup_anndata(data, batch_key="batch")
    data.obs["factor"] = [0.0] + [1.0] * 29
    with pytest.raises(ValueError, match="'0'"):
        ICM.setup_anndata(data, size_factor_key="factor")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_data_are_refused(shape):
    with pytest.raises(ValueError, match="at least 1"):
        ICM.setup_anndata(ad.AnnData(np.zeros(shape, dtype=np.float32)))


def test_what_is_no_anndata_or_no_number_is_refused():
    with pytest.raises(TypeError, match="AnnData"):
        ICM.setup_anndata(np.ones((3, 3)))
    data = make()
    data.layers["words"] = np.full(data.shape, "x", dtype=object)
    with pytest.raises(ValueError, match="numbers"):
        ICM.setup_anndata(data, layer="words")


def test_new_data_are_checked_too():
    data = make()
    ICM.setup_anndata(data, batch_key="batch")
    model = ICM(data)
    model.train(max_epochs=1, enable_progress_bar=False)
    worse = broken(2, 1, np.nan)
    with pytest.raises(ValueError, match="cell '2'"):
        model.get_denoised(worse)
    other = make()
    other.obs["batch"] = "c"
    with pytest.raises(ValueError, match="'c'"):
        model.get_denoised(other)


def test_tiny_data_train():
    for shape in [(1, 5), (2, 2), (3, 1)]:
        data = ad.AnnData(np.random.default_rng(0).poisson(20.0, shape).astype(np.float32) + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ICM.setup_anndata(data)
            model = ICM(data)
            model.train(max_epochs=1, enable_progress_bar=False)
        np.testing.assert_allclose(model.get_denoised().sum(1), data.X.sum(1), rtol=1e-4)
