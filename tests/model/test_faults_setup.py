"""The mend is named: where the counts are, and what is wrong with size factors."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import scif
from scif.model import ICM


def make(**options) -> ad.AnnData:
    return scif.datasets.simulate_counts(60, 80, seed=0, truth=False, **options)


def test_the_layer_that_holds_counts_is_named():
    data = make()
    data.layers["spliced"] = data.X.astype(float) * 0.37
    data.layers["umis"] = data.X.copy()
    data.X = np.sqrt(data.X.toarray())
    with pytest.raises(ValueError, match=r"adata.X looks square-root.*pass layer='umis'"):
        ICM.setup_anndata(data)
    ICM.setup_anndata(data, layer="umis")


def test_raw_counts_are_named():
    data = make()
    data.raw = data
    sc.pp.normalize_total(data, target_sum=1e4)
    sc.pp.log1p(data)
    data = data[:, :50].copy()
    with pytest.raises(ValueError, match=r"log-transformed.*adata.raw") as error:
        ICM.setup_anndata(data)
    data.layers["counts"] = data.raw[:, data.var_names].X  # what the message says
    assert "adata.layers['counts'] = adata.raw[:, adata.var_names].X" in str(error.value)
    ICM.setup_anndata(data, layer="counts")


def test_x_is_named_where_a_layer_is_transformed():
    data = make()
    data.layers["log"] = np.log1p(data.X.toarray())
    with pytest.raises(ValueError, match=r"layers\['log'\] looks log.*leave out layer"):
        ICM.setup_anndata(data, layer="log")


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (["1.5"] * 60, r"astype\(float\)"),
        (pd.Categorical([1.5] * 60), r"astype\(float\)"),
        ([True] * 60, r"astype\(float\)"),
        ([0.0] + [1.0] * 59, "positive"),
        ([np.nan] + [1.0] * 59, "positive"),
        ([1e9] + [1.0] * 59, "times off"),
        ([1e-9] + [1.0] * 59, "times off"),
    ],
    ids=["text", "category", "truth", "zero", "missing", "huge", "tiny"],
)
def test_bad_size_factors_are_refused(factors, said):
    data = make()
    data.obs["factor"] = factors
    with pytest.raises(ValueError, match=rf"'factor'.*{said}"):
        ICM.setup_anndata(data, size_factor_key="factor")


def test_integers_are_size_factors():
    data = make()
    data.obs["factor"] = np.arange(1, 61)
    ICM.setup_anndata(data, size_factor_key="factor")


@pytest.mark.parametrize("backed", [None, "r"])
@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix])
def test_indices_out_of_range_in_a_file_are_refused(tmp_path, backed, layout):
    data = make()
    data.X = layout(data.X)
    data.write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][5] = 100_000
    with pytest.raises(ValueError, match="damaged sparse matrix|column index|row index|indices"):
        ICM.setup_anndata(ad.read_h5ad(tmp_path / "x.h5ad", backed=backed))
