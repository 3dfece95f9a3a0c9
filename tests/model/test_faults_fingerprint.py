"""A change of the counts between setup and use is noticed; a copy is set up beside its original."""

from __future__ import annotations

import gc
import weakref

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import scif
from scif.model import ICM
from scif.model.fingerprint import fingerprint


def make(cells: int = 60) -> ad.AnnData:
    return scif.datasets.simulate_counts(cells, 30, seed=0, truth=False)


def trained(data: ad.AnnData, **setup) -> ICM:
    ICM.setup_anndata(data, **setup)
    model = ICM(data)
    model.train(max_epochs=1, enable_progress_bar=False)
    return model


@pytest.mark.trains
@pytest.mark.parametrize("change", ["normalised", "logged", "replaced"])
def test_changed_counts_are_refused(change):
    data = make()
    data.X = data.X.astype(np.float32)
    model = trained(data)
    before = model.get_denoised()
    counts = data.X.copy()
    if change == "normalised":
        sc.pp.normalize_total(data, target_sum=1e4)
    elif change == "logged":
        sc.pp.log1p(data)
    else:
        data.X = make().X[::-1]
    for call in (model.get_denoised, lambda: model.get_denoised(data), model.get_cell_scale, model.train):
        with pytest.raises(ValueError, match=r"adata.X is no longer.*layer='counts'"):
            call()
    data.X = counts
    np.testing.assert_array_equal(model.get_denoised(), before)


@pytest.mark.trains
def test_counts_in_a_layer_stay_while_x_changes():
    data = make()
    data.layers["counts"] = data.X.copy()
    model = trained(data, layer="counts")
    sc.pp.log1p(data)
    model.get_denoised()
    data.layers["counts"] = data.layers["counts"].tocsc()  # the same counts
    model.get_denoised()
    data.layers["counts"] = data.X
    with pytest.raises(ValueError, match=r"adata.layers\['counts'\] is no longer"):
        model.get_denoised()


@pytest.mark.parametrize("genes", [30, 20])
def test_a_copy_leaves_its_original_set_up(genes):
    data = make()
    ICM.setup_anndata(data)
    copy = data[:, :genes].copy()
    ICM.setup_anndata(copy)
    assert ICM(data).adata is data
    assert ICM(copy).adata is copy
    ICM.setup_anndata(data)  # again
    assert ICM(data).adata is data


@pytest.mark.trains
def test_new_cells_may_be_a_copy_of_those_trained_on():
    data = make()
    model = trained(data)
    np.testing.assert_allclose(model.get_denoised(data[:5].copy()), model.get_denoised()[:5], rtol=1e-5)
    np.testing.assert_array_equal(model.get_denoised(), model.get_denoised(data))


def test_fingerprints_do_not_depend_on_the_layout(tmp_path):
    x = make().X
    data = ad.AnnData(x)
    data.write_h5ad(tmp_path / "x.h5ad")
    names = {fingerprint(part) for part in (x, x.tocsc(), x.toarray(), x.astype(float), sparse.coo_matrix(x).tocsr())}
    assert len(names) == 1
    stored = ad.read_h5ad(tmp_path / "x.h5ad", backed="r").X
    assert fingerprint(stored) == fingerprint(stored)
    changed = x.copy()
    changed.data[0] += 1
    assert fingerprint(changed) not in names


@pytest.mark.trains
@pytest.mark.parametrize("dense", [True, False])
def test_any_change_of_counts_in_memory_is_noticed(dense):
    """Sixteen rows alone were looked at: a cell between them could be emptied."""
    data = make(200)
    data.X = data.X.toarray() if dense else data.X
    model = trained(data)
    expected = model.get_denoised()
    kept = data.X.copy()
    for change in ("one count", "an empty cell", "two cells change places"):
        x = kept.copy() if dense else kept.tolil()
        if change == "one count":
            x[100, 3] = x[100, 3] + 1
        elif change == "an empty cell":
            x[77] = 0
        else:
            x = x[np.r_[:100, 101, 100, 102:200]]
        data.X = x if dense else x.tocsr()
        with pytest.raises(ValueError, match=r"adata.X is no longer"):
            model.get_denoised()
    data.X = sparse.csc_matrix(kept, dtype=np.float64)
    np.testing.assert_array_equal(model.get_denoised(), expected)


@pytest.mark.trains
def test_changed_columns_names_and_lost_counts_are_refused():
    data = make()
    data.obs["batch"], data.obs["size"] = ["a", "b"] * 30, np.asarray(data.X.sum(1)).ravel()
    data.layers["counts"] = data.X.copy()
    model = trained(data, layer="counts", batch_key="batch", size_factor_key="size")
    expected, names = model.get_denoised(), data.var_names
    for column, values in (("batch", ["b", "a"] * 30), ("size", np.arange(60) + 1.0)):
        before = data.obs[column].copy()
        data.obs[column] = values
        for call in (model.get_denoised, model.train, lambda: model.refit("dispersion")):
            with pytest.raises(ValueError, match=rf"adata.obs\['{column}'\] is no longer"):
                call()
        data.obs[column] = before
    data.var_names = names[::-1]
    with pytest.raises(ValueError, match="renamed or reordered"):
        model.get_denoised()
    data.var_names = names
    counts = data.layers.pop("counts")
    with pytest.raises(ValueError, match=r"adata.layers\['counts'\] is gone"):
        model.get_denoised()
    data.layers["counts"] = counts
    np.testing.assert_array_equal(model.get_denoised(), expected)
    data.uns.clear()  # scvi-tools' name of the data is not needed for what the model was made with
    np.testing.assert_array_equal(model.get_denoised(), expected)


@pytest.mark.trains
def test_new_cells_that_change_between_calls_are_read_anew():
    data = make()
    data.obs["batch"] = ["a", "b"] * 30
    model = trained(data, batch_key="batch")
    new = make()
    new.obs["batch"] = "a"
    model.get_denoised(new)
    new.obs["batch"] = "b"
    again = make()
    again.obs["batch"] = "b"
    np.testing.assert_array_equal(model.get_denoised(new), model.get_denoised(again))


@pytest.mark.trains
def test_new_cells_are_not_kept_in_memory():
    data = make()
    model = trained(data)
    new = make()
    model.get_denoised(new)
    gone = weakref.ref(new)
    del new
    gc.collect()
    assert gone() is None


def test_counts_are_not_overwritten_by_out():
    data = make()
    data.X = data.X.toarray().astype(np.float32)
    model = trained(data)
    before = data.X.copy()
    with pytest.raises(ValueError, match="out is the counts themselves"):
        model.get_denoised(out=data.X)
    np.testing.assert_array_equal(data.X, before)


def test_what_is_fitted_is_not_given_before_training():
    data = make()
    ICM.setup_anndata(data)
    with pytest.raises(RuntimeError, match="untrained"):
        _ = ICM(data).credibility
