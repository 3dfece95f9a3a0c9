from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc

from scif.datasets import pbmc68k_counts


def test_counts_are_whole_numbers_and_reproduce_the_source(pbmc):
    assert pbmc.X.dtype == np.int32
    assert pbmc.X.has_canonical_format
    assert pbmc.X.data.min() == 1
    source = sc.datasets.pbmc68k_reduced()
    per_cell = source.obs["n_counts"].to_numpy()
    again = np.log1p(pbmc.X.toarray() * (1e4 / per_cell[:, None]))
    # scanpy stores log1p values with three decimals
    np.testing.assert_allclose(again, source.raw.X.toarray(), atol=2e-3)


def test_names_and_types_are_kept(pbmc):
    source = sc.datasets.pbmc68k_reduced()
    assert list(pbmc.obs_names) == list(source.obs_names)
    assert list(pbmc.var_names) == list(source.raw.var_names)
    assert pbmc.raw is None
    assert pbmc.obs["bulk_labels"].equals(source.obs["bulk_labels"])
    assert pbmc.obs["bulk_labels"].nunique() == 10


def test_other_data_are_refused(monkeypatch):
    source = sc.datasets.pbmc68k_reduced()
    source.obs["n_counts"] = 1.37 * source.obs["n_counts"].to_numpy()
    monkeypatch.setattr(sc.datasets, "pbmc68k_reduced", lambda: source)
    with pytest.raises(ValueError, match="whole numbers"):
        pbmc68k_counts()
