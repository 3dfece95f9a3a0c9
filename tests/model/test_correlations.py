"""Correlations of true expression from a trained model."""

from __future__ import annotations

import numpy as np
import pytest

import scif
from scif.model import ICM


@pytest.mark.trains
def test_correlations_are_those_of_the_truth() -> None:
    adata = scif.datasets.simulate_counts(1000, 150, depth=2000, seed=3)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    found = model.get_feature_correlation_matrix()
    truth = np.asarray(adata.layers["truth"])
    true = np.corrcoef(np.log(truth / truth.sum(1, keepdims=True)).T)
    pairs = np.triu_indices(150, 1)
    counts = adata.X.toarray()
    raw = np.corrcoef(np.log1p(counts / counts.sum(1, keepdims=True) * 1e4).T)
    error = {
        name: np.abs(x[pairs] - true[pairs]).mean() for name, x in (("corrected", found.to_numpy()), ("counts", raw))
    }
    assert error["corrected"] < 0.5 * error["counts"], error
    some = model.get_feature_correlation_matrix(["gene_7", "gene_3"])
    np.testing.assert_allclose(some, found.loc[["gene_7", "gene_3"], ["gene_7", "gene_3"]])
    np.testing.assert_allclose(np.diag(found), 1.0)
    with pytest.raises(ValueError, match="TP53"):
        model.get_feature_correlation_matrix(["TP53"])
