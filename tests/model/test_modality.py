"""CITE-seq: two modalities, each with a model of its own."""

from __future__ import annotations

import mudata
import numpy as np
import pytest

import scif
from scif.model import ICM


@pytest.fixture
def mdata():
    rna = scif.datasets.simulate_counts(80, 50, n_batches=2, seed=0)
    batch = rna.obs.pop("batch")
    proteins = scif.datasets.simulate_counts(80, 12, depth=900, truth=False, seed=1)
    proteins.var_names = [f"CD{i}" for i in range(12)]
    found = mudata.MuData({"rna": rna, "prot": proteins})
    found.obs["batch"] = batch
    return found


@pytest.mark.trains
def test_each_modality_is_denoised_on_its_own(mdata, tmp_path):
    rna = mdata.mod["rna"].copy()
    rna.obs["batch"] = mdata.obs["batch"]
    ICM.setup_anndata(rna, batch_key="batch")
    alone = ICM(rna)
    alone.train(max_epochs=2, enable_progress_bar=False)

    models = {}
    for modality, key in (("rna", "batch"), ("prot", None)):
        ICM.setup_mudata(mdata, modality, batch_key=key)
        model = models[modality] = ICM(mdata)
        model.train(max_epochs=2, enable_progress_bar=False)
        mdata.mod[modality].layers["denoised"] = model.get_denoised()
        denoised = mdata.mod[modality].layers["denoised"]
        np.testing.assert_allclose(denoised.sum(1), mdata.mod[modality].X.sum(1).A1, rtol=1e-4)
        np.testing.assert_array_equal(model.get_denoised(mdata), denoised)
        model.save(tmp_path / modality)
        again = ICM.load(tmp_path / modality, mdata)
        np.testing.assert_array_equal(again.get_denoised(), denoised)
    np.testing.assert_array_equal(models["rna"].get_denoised(), mdata.mod["rna"].layers["denoised"])
    np.testing.assert_array_equal(mdata.mod["rna"].layers["denoised"], alone.get_denoised())
    mdata.write(tmp_path / "out.h5mu")
    assert "denoised" in mudata.read(tmp_path / "out.h5mu").mod["prot"].layers


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"modality": "atac"}, r"modality='atac' is not in mdata.mod, which has 'rna', 'prot'"),
        ({"modality": "rna", "batch_key": "absent"}, "batch_key='absent'"),
        ({"modality": "rna", "layer": "absent"}, "layer='absent'"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changed(mdata, arguments, said):
    before = set(mdata.mod["rna"].obs), set(mdata.mod["rna"].uns)
    with pytest.raises(ValueError, match=said):
        ICM.setup_mudata(mdata, **arguments)
    assert (set(mdata.mod["rna"].obs), set(mdata.mod["rna"].uns)) == before


def test_a_borrowed_column_is_given_back(mdata):
    mdata.mod["rna"].X.data[0] = -1
    with pytest.raises(ValueError, match="not negative"):
        ICM.setup_mudata(mdata, batch_key="batch")
    assert "batch" not in mdata.mod["rna"].obs


def test_what_was_not_set_up_is_told(mdata):
    with pytest.raises(ValueError, match="mdata was not set up"):
        ICM(mdata)
    with pytest.raises(TypeError, match="setup_anndata"):
        ICM.setup_mudata(mdata.mod["rna"])
