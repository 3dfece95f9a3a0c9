from __future__ import annotations

import gc

import anndata as ad
import numpy as np
import pytest
from anndata import read_h5ad

import scif


@pytest.fixture
def adata():
    data = scif.datasets.simulate_counts(80, 40, n_batches=2, seed=1)
    data.layers["counts"] = data.X.copy()
    return data


@pytest.mark.trains
def test_what_was_done_survives_writing_and_counts_are_left_alone(adata, tmp_path):
    before = adata.X.copy()
    keys = set(adata.obs), set(adata.var), set(adata.uns)
    assert scif.pp.denoise(adata, "counts", batch_key="batch", max_epochs=2) is None
    assert (adata.X != before).nnz == 0
    assert (set(adata.obs), set(adata.var), set(adata.uns) - {"scif"}) == keys  # no marks of scvi-tools
    np.testing.assert_allclose(adata.layers["denoised"].sum(1), before.sum(1).A1, rtol=1e-4)
    adata.write_h5ad(tmp_path / "x.h5ad")
    said = read_h5ad(tmp_path / "x.h5ad").uns["scif"]
    assert dict(said) == adata.uns["scif"]
    assert (said["version"], said["layer"], said["scale"]) == (scif.__version__, "counts", "counts")
    assert (said["estimator"], said["library_size"], said["batch_key"]) == ("mean", "observed", "batch")
    assert len(said["model_id"]) == 12
    assert said["seconds"] > 0
    assert np.isfinite(said["held_out_loss"])


@pytest.mark.trains
def test_a_copy_leaves_the_original_as_it_is(adata):
    layers, uns = set(adata.layers), set(adata.uns)
    found = scif.pp.denoise(adata, copy=True, library_size=1e4, key_added="scaled", max_epochs=1)
    assert (set(adata.layers), set(adata.uns)) == (layers, uns)
    np.testing.assert_allclose(found.layers["scaled"].sum(1), 1e4, rtol=1e-4)
    assert found.uns["scif"]["scale"] == "10000 per cell"
    scif.pp.denoise(found, key_added="other", max_epochs=1)
    assert found.uns["scif"]["key_added"] == "other"
    assert found.uns["scif"]["earlier"]["scaled"]["scale"] == "10000 per cell"


@pytest.mark.trains
def test_it_is_the_model_that_can_be_had_in_steps(adata):
    scif.pp.denoise(adata, max_epochs=2)
    other = scif.datasets.simulate_counts(80, 40, n_batches=2, seed=1)
    scif.model.ICM.setup_anndata(other)
    model = scif.model.ICM(other)
    model.train(max_epochs=2, enable_progress_bar=False)
    np.testing.assert_array_equal(adata.layers["denoised"], model.get_denoised())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"key_added": "counts", "layer": "counts"}, "never overwritten"),
        ({"key_added": "a/b"}, "without a slash"),
        ({"layer": "absent"}, "layer='absent'"),
        ({"batch_key": "absent"}, "batch_key='absent'"),
        ({"estimator": "sample"}, "get_denoised"),
    ],
)
def test_nothing_is_changed_by_what_is_refused(adata, arguments, said):
    keys = set(adata.obs), set(adata.layers), set(adata.uns)
    with pytest.raises(ValueError, match=said):
        scif.pp.denoise(adata, **arguments)
    assert (set(adata.obs), set(adata.layers), set(adata.uns)) == keys


@pytest.mark.trains
def test_nothing_of_a_call_stays_in_memory():
    data = scif.datasets.simulate_counts(40, 20, depth=300, truth=False, seed=0)
    scif.pp.denoise(data, max_epochs=1)
    before = held()
    for _ in range(3):
        scif.pp.denoise(data, max_epochs=1)
    assert held() == before


def held() -> int:
    """AnnData objects in memory."""
    gc.collect()
    return sum(type(one) is ad.AnnData for one in gc.get_objects())
