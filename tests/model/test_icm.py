"""Laws of the count model: alignment, determinism, round trips, and that it denoises."""

from __future__ import annotations

import subprocess
import sys

import anndata as ad
import dask.array
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import torch
from scipy import sparse

import scif
from scif.counts.data.batch import CountBatch
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.posterior.expectation import composition
from scif.model import ICM


def trained(adata: ad.AnnData, *, epochs: int = 3, **kwargs) -> ICM:
    ICM.setup_anndata(adata)
    model = ICM(adata, **kwargs)
    model.train(max_epochs=epochs, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    data = scif.datasets.simulate_counts(150, 60, n_types=3, seed=0)
    data.X = np.asarray(data.X.toarray())
    data.X[:, 7] = 0  # a gene without counts
    data.X = sparse.csr_matrix(data.X)
    return data


@pytest.fixture(scope="module")
def model(adata) -> ICM:
    return trained(adata)


@pytest.fixture(scope="module")
def denoised(model) -> np.ndarray:
    return model.get_denoised()


def test_result_fits_a_layer_and_keeps_library_sizes(adata, denoised):
    assert denoised.shape == adata.shape
    assert denoised.dtype == np.float32
    assert (denoised >= 0).all()
    np.testing.assert_allclose(denoised.sum(1), adata.X.sum(1).A1, rtol=1e-4)


def test_a_gene_without_counts_stays_zero(denoised):
    assert denoised[:, 7].max() < 1e-6


def test_rows_follow_indices_in_any_order(model, denoised):
    rows = [40, 3, 149, 3, -1]
    np.testing.assert_allclose(model.get_denoised(indices=rows, batch_size=2), denoised[rows], rtol=3e-5, atol=1e-6)
    mask = np.zeros(150, dtype=bool)
    mask[[2, 90]] = True
    np.testing.assert_allclose(model.get_denoised(indices=mask), denoised[[2, 90]], rtol=1e-5, atol=1e-6)
    assert model.get_denoised(indices=[]).shape == (0, 60)


def test_columns_follow_gene_list(adata, model, denoised):
    genes = [adata.var_names[i] for i in (30, 2, 2, 59)]
    np.testing.assert_array_equal(model.get_denoised(gene_list=genes), denoised[:, [30, 2, 2, 59]])
    frame = model.get_denoised(gene_list=genes[:2], indices=[5, 4], return_numpy=False)
    assert list(frame.columns) == genes[:2]
    assert list(frame.index) == list(adata.obs_names[[5, 4]])


def test_shuffled_genes_are_matched_by_name(adata, model, denoised):
    order = np.random.default_rng(0).permutation(60)
    other = adata[:, order].copy()
    np.testing.assert_allclose(model.get_denoised(other), denoised[:, order], rtol=1e-5, atol=1e-6)


def test_missing_genes_are_named(adata, model):
    gone = adata.var_names[11]
    with pytest.raises(ValueError, match=gone):
        model.get_denoised(adata[:, adata.var_names != gone].copy())


def test_new_genes_are_named(adata, model):
    more = ad.concat([adata, ad.AnnData(np.ones((150, 1)), obs=adata.obs, var=pd.DataFrame(index=["novel"]))], axis=1)
    with pytest.raises(ValueError, match="novel"):
        model.get_denoised(more)


def test_new_cells_need_no_training(adata, model, denoised):
    some = adata[[9, 4]].copy()
    np.testing.assert_allclose(model.get_denoised(some), denoised[[9, 4]], rtol=1e-5, atol=1e-6)


def test_a_view_stays_a_view(adata, model, denoised):
    view = adata[[9, 4]]
    np.testing.assert_allclose(model.get_denoised(view), denoised[[9, 4]], rtol=1e-5, atol=1e-6)
    assert view.is_view


@pytest.mark.trains
def test_same_seed_same_result_and_global_state_untouched(adata, denoised):
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = trained(adata.copy()).get_denoised()
    np.testing.assert_array_equal(again, denoised)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert not np.allclose(trained(adata.copy(), seed=1).get_denoised(), denoised)


def split_entries(x: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same counts, each stored as two entries that add up to it."""
    first = np.floor(x.data / 2)
    order = np.argsort(np.tile(np.repeat(np.arange(x.shape[0]), np.diff(x.indptr)), 2), kind="stable")
    data, columns = np.r_[first, x.data - first][order], np.tile(x.indices, 2)[order]
    return sparse.csr_matrix((data, columns, 2 * x.indptr), x.shape)


@pytest.mark.trains
@pytest.mark.parametrize(
    "layout", ["csc", "csr_array", "dense", "int", "float64", "fortran", "layer", "backed", "dask", "view", "split"]
)
def test_every_layout_gives_the_same(adata, denoised, layout, tmp_path):
    x = adata.X
    other = adata.copy()
    other.X = {
        "csc": sparse.csc_matrix(x),
        "csr_array": sparse.csr_array(x),
        "dense": x.toarray(),
        "int": x.astype(np.int32),
        "float64": x.astype(np.float64),
        "fortran": np.asfortranarray(x.toarray()),
        "split": split_entries(x),
    }.get(layout, x)
    if layout == "layer":
        other.layers["counts"] = other.X
        other.X = np.full(other.shape, -1.0)
        ICM.setup_anndata(other, layer="counts")
        model = ICM(other)
        model.train(max_epochs=3, enable_progress_bar=False)
        np.testing.assert_array_equal(model.get_denoised(), denoised)
        return
    if layout == "backed":
        other.write_h5ad(tmp_path / "x.h5ad")
        other = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    if layout == "dask":
        other.X = dask.array.from_array(x.toarray(), chunks=(40, 60)).map_blocks(sparse.csr_matrix)
    if layout == "view":
        twice = ad.concat([adata, adata], index_unique="-")
        other = twice[:150]
    model = trained(other)
    np.testing.assert_array_equal(model.get_denoised(), denoised)
    np.testing.assert_allclose(
        model.get_denoised(indices=[50, 5, 3, 50]), denoised[[50, 5, 3, 50]], rtol=1e-5, atol=1e-6
    )


@pytest.mark.trains
def test_a_second_training_really_trains(adata):
    model = trained(adata.copy())
    before = {name: value.clone() for name, value in model.module.named_parameters()}
    length = len(model.history["train_loss"])
    model.train(max_epochs=2, enable_progress_bar=False, plan_kwargs={"lr": 1e-2})
    assert len(model.history["train_loss"]) == length + 2
    assert list(model.history["validation_loss"].index) == list(range(length + 2))
    changed = [name for name, value in model.module.named_parameters() if not torch.equal(value, before[name])]
    assert "network.loadings" in changed
    assert not model.module.training


def test_history_curves_are_numbers(model):
    assert {"train_loss", "train_anchor", "validation_loss"} <= set(model.history)
    assert all(curve.iloc[:, 0].dtype == float for curve in model.history.values())


@pytest.mark.trains
def test_saved_model_gives_bit_equal_output_in_a_new_process(adata, model, denoised, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    code = (
        "import numpy as np, scif, sys\n"
        "model = scif.model.ICM.load(sys.argv[1], accelerator='cpu')\n"
        "np.save(sys.argv[2], model.get_denoised())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model"), str(tmp_path / "out.npy")], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), denoised)


def test_loading_without_data_and_with_shuffled_genes(adata, model, denoised, tmp_path):
    model.save(tmp_path / "model")
    bare = ICM.load(tmp_path / "model", adata=False)
    np.testing.assert_array_equal(bare.get_denoised(adata.copy()), denoised)
    order = np.random.default_rng(1).permutation(60)
    other = ICM.load(tmp_path / "model", adata=adata[:, order].copy())
    np.testing.assert_allclose(other.get_denoised(), denoised[:, order], rtol=1e-5, atol=1e-6)
    pd.testing.assert_series_equal(bare.inverse_dispersion, model.inverse_dispersion)


def test_inverse_dispersion_is_aligned_to_the_genes(adata, model):
    assert list(model.inverse_dispersion.index) == list(adata.var_names)
    assert (model.inverse_dispersion > 0).all()
    poisson = trained(adata.copy(), noise="poisson")
    assert (poisson.inverse_dispersion == 1e6).all()


@pytest.mark.trains
def test_a_given_channel_is_used(adata):
    theta = torch.full((60,), 3.0)
    model = trained(adata.copy(), noise=scif.core.NegativeBinomial(theta))
    # technical variation is what was given, but never more than the data show in all
    assert (model.inverse_dispersion >= 3.0 - 1e-4).all()
    keeps_more = trained(adata.copy(), noise="poisson")
    total = 1 / model.residual_shape + 1 / model.inverse_dispersion
    assert (1 / model.residual_shape < total + 1e-9).all()
    assert (1 / model.residual_shape).mean() < (1 / keeps_more.residual_shape).mean()


def test_library_size_scales_rows(model, denoised):
    np.testing.assert_allclose(model.get_denoised(library_size=1e4).sum(1), 1e4, rtol=1e-4)


def test_result_is_written_where_asked(model, denoised, tmp_path):
    out = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=np.float32, shape=denoised.shape)
    model.get_denoised(out=out, batch_size=40)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), denoised, rtol=1e-5, atol=1e-6)


def test_draws_have_the_mean_and_are_seeded(model, denoised):
    draws = model.get_denoised(estimator="sample", n_samples=300, return_mean=False, indices=[0, 1], seed=3)
    assert draws.shape == (300, 2, 60)
    error = draws.std(0) / np.sqrt(300)
    assert (abs(draws.mean(0) - denoised[:2]) < 5 * error + 1e-4 * denoised[:2] + 1e-6).all()
    again = model.get_denoised(estimator="sample", n_samples=300, return_mean=False, indices=[0, 1], seed=3)
    np.testing.assert_array_equal(draws, again)
    mean = model.get_denoised(estimator="sample", n_samples=300, indices=[0, 1], seed=3)
    np.testing.assert_allclose(mean, draws.mean(0), rtol=1e-4)


def test_size_factors_set_the_scale(adata):
    other = adata.copy()
    other.obs["factor"] = np.linspace(0.5, 1.5, 150)
    ICM.setup_anndata(other, size_factor_key="factor")
    model = ICM(other)
    model.train(max_epochs=2, enable_progress_bar=False)
    sums = model.get_denoised().sum(1)
    np.testing.assert_allclose(sums / other.obs["factor"], sums.sum() / 150, rtol=1e-3)
    np.testing.assert_allclose(sums.sum(), adata.X.sum(), rtol=1e-3)


@pytest.mark.trains
def test_transform_batch_expresses_all_cells_alike():
    data = scif.datasets.simulate_counts(400, 50, n_types=2, n_batches=2, trajectory=False, depth=500.0, seed=1)
    ICM.setup_anndata(data, batch_key="batch")
    model = ICM(data)
    model.train(max_epochs=30, enable_progress_bar=False)
    names = list(data.obs["batch"].astype(str).unique())

    def gap(values):
        logs = np.log(values / values.sum(1, keepdims=True) + 1e-6)
        first = (data.obs["batch"].astype(str) == names[0]).to_numpy()
        return np.abs(logs[first].mean(0) - logs[~first].mean(0)).mean()

    assert gap(model.get_denoised(transform_batch=names[0])) < 0.7 * gap(model.get_denoised())
    with pytest.raises(ValueError, match="nowhere"):
        model.get_denoised(transform_batch="nowhere")


def test_publication_objective_is_available(adata):
    ICM.setup_anndata(adata)
    model = ICM(adata, residual=False)
    model.train(max_epochs=2, anchor_weight=0.0, consistency_weight=1.0, num_steps=10, enable_progress_bar=False)
    assert "train_anchor" not in model.history
    assert np.isfinite(model.get_denoised()).all()


@pytest.mark.trains
def test_without_residual_the_result_is_what_genes_share(adata):
    """The same training; a cell's own count of a gene moves its estimate by way of the code alone."""
    models = {}
    for residual in (True, False):
        ICM.setup_anndata(adata)
        models[residual] = ICM(adata, residual=residual)
        models[residual].train(max_epochs=3, enable_progress_bar=False)
    whole, shared = models[True], models[False]
    pd.testing.assert_series_equal(whole.residual_shape, shared.residual_shape)
    assert (shared.residual_shape < 1e3).any()
    counts = torch.from_numpy(np.asarray(adata.X.todense(), dtype=np.float32))
    library = counts.sum(1)
    with torch.no_grad():
        batch = CountBatch(SparseCounts.from_scipy(adata.X))
        rates, others = (composition(m.module.network, m.module.fitted, batch) for m in (shared, whole))
    np.testing.assert_allclose(shared.get_denoised(), library[:, None] * rates, rtol=1e-3, atol=1e-4)
    believed = torch.from_numpy(whole.credibility.to_numpy() > 0)
    assert believed.any()
    rates, others = (part[:, believed] / part[:, believed].sum(1, keepdim=True) for part in (rates, others))
    np.testing.assert_allclose(rates, others, rtol=1e-4, atol=1e-7)
    assert np.abs(whole.get_denoised() - shared.get_denoised()).max() > 0.5


@pytest.mark.trains
def test_training_stops_when_three_looks_have_shown_nothing_better():
    adata = ad.AnnData(np.random.default_rng(0).poisson(1.0, (100, 60)).astype(np.float32))  # nothing to learn
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(max_epochs=90, enable_progress_bar=False, plan_kwargs={"lr": 0.1})
    losses = model.history["validation_loss"].dropna().to_numpy().ravel()
    assert len(losses) < 9
    assert np.argmin(losses) == len(losses) - 4


def test_without_early_stopping_nothing_is_held_out(adata):
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(max_epochs=2, early_stopping=False, enable_progress_bar=False)
    assert "validation_loss" not in model.history


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"estimator": "median"}, "estimator"),
        ({"library_size": -1.0}, "library_size"),
        ({"library_size": "median"}, "library_size"),
        ({"n_samples": 0}, "n_samples"),
        ({"n_samples": 3}, "n_samples"),
        ({"indices": [0, 150]}, "150"),
        ({"indices": [True, False]}, "mask"),
        ({"indices": [0.5]}, "float64"),
        ({"gene_list": ["nope"]}, "nope"),
        ({"gene_list": "gene_1"}, "list"),
        ({"out": np.empty((2, 2))}, "shape"),
    ],
)
def test_bad_requests_are_named(model, kwargs, match):
    with pytest.raises(ValueError, match=match):
        model.get_denoised(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"noise": "zinb"}, "zinb"), ({"noise": scif.core.Gaussian(1.0)}, "noise"), ({"n_latent": 0}, "n_latent"),
     ({"n_hidden": 0}, "n_hidden is 0"), ({"dropout_rate": 1.0}, "dropout_rate is 1"),
     ({"noise": scif.core.Poisson(2.0)}, "gain"), ({"start": "random"}, "start")],
)  # fmt: skip
def test_bad_models_are_named(adata, kwargs, match):
    ICM.setup_anndata(adata)
    with pytest.raises(ValueError, match=match):
        ICM(adata, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"max_epochs": 0}, "max_epochs"), ({"batch_size": 0}, "batch_size"), ({"held_out": 1.0}, "held_out"),
     ({"anchor_weight": -1.0}, "anchor_weight"), ({"anchor_weight": 0.0, "consistency_weight": 0.0}, "both 0")],
)  # fmt: skip
def test_bad_training_is_named(model, kwargs, match):
    with pytest.raises(ValueError, match=match):
        model.train(**kwargs)


def test_scanpy_takes_the_layer(adata, denoised):
    other = adata.copy()
    other.layers["denoised"] = denoised
    sc.pp.log1p(other, layer="denoised")
    assert np.isfinite(other.layers["denoised"]).all()
