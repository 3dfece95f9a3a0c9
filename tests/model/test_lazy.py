"""An AnnData that is read lazily is taken as it is, and gives what one in memory gives."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scif
from scif.model import ICM

pytest.importorskip("xarray")
SETUP = {"batch_key": "batch", "size_factor_key": "factor"}
pytestmark = [pytest.mark.trains, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def counts() -> ad.AnnData:
    data = scif.datasets.simulate_counts(90, 40, n_batches=2, seed=0, truth=False)
    data.obs["factor"] = np.asarray(data.X.sum(1)).ravel() / 100.0
    return data


def trained(data: ad.AnnData) -> ICM:
    ICM.setup_anndata(data, **SETUP)
    model = ICM(data)
    model.train(max_epochs=1, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def wanted(counts) -> np.ndarray:
    return trained(counts.copy()).get_denoised()


@pytest.mark.parametrize("suffix", ["zarr", "h5ad"])
def test_lazy_counts_train_and_are_denoised_as_counts_in_memory(counts, wanted, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    getattr(counts, f"write_{suffix}")(path)
    lazy = ad.experimental.read_lazy(path)
    model = trained(lazy)
    np.testing.assert_array_equal(model.get_denoised(), wanted)
    assert isinstance(lazy.obs, pd.DataFrame)
    assert hasattr(lazy.X, "compute")  # the counts stay on disk
    again = ad.experimental.read_lazy(path)
    np.testing.assert_allclose(model.get_denoised(again[10:30]), wanted[10:30], rtol=1e-5)  # another minibatch
    model.denoise_to(tmp_path / "denoised.zarr", ad.experimental.read_lazy(path), silent=True)
    np.testing.assert_array_equal(ad.read_zarr(tmp_path / "denoised.zarr").layers["denoised"], wanted)
    model.save(tmp_path / "model")
    loaded = ICM.load(tmp_path / "model", adata=ad.experimental.read_lazy(path))
    np.testing.assert_array_equal(loaded.get_denoised(), wanted)
    assert scif.pp.denoise(ad.experimental.read_lazy(path), max_epochs=1, copy=True).layers["denoised"].shape == (
        90,
        40,
    )


def test_a_lazy_view_is_taken(counts, tmp_path):
    counts.write_zarr(tmp_path / "x.zarr")
    view = ad.experimental.read_lazy(tmp_path / "x.zarr")[::2]
    ICM.setup_anndata(view, **SETUP)
    assert ICM(view).adata.n_obs == 45
