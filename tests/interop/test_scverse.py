"""Denoised counts in the packages that users go on with, each the real one."""

from __future__ import annotations

import decoupler as dc
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scib_metrics
import scvi
from anndata import AnnData

from scif.model import ICM

pytestmark = [pytest.mark.trains, pytest.mark.filterwarnings("ignore::FutureWarning")]
CELLS, PROGRAM = 240, 20


@pytest.fixture(scope="module")
def adata() -> AnnData:
    """Two types of cells, the second of which has three times as much of 20 genes; denoised."""
    rng = np.random.default_rng(0)
    rates = np.tile(rng.gamma(2.0, 0.3, size=100), (CELLS, 1))
    rates[CELLS // 2 :, :PROGRAM] *= 3
    adata = AnnData(rng.poisson(rates).astype(np.float32))
    adata.var_names = [f"gene{i}" for i in range(100)]
    adata.obs["type"] = pd.Categorical(["a"] * (CELLS // 2) + ["b"] * (CELLS // 2))
    scvi.model.SCVI.setup_anndata(adata)
    before = scvi.model.SCVI(adata, n_hidden=8, n_latent=2)
    before.train(max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    latent = before.get_latent_representation()
    counts = adata.X.copy()
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(max_epochs=20, enable_progress_bar=False)
    adata.layers["denoised"] = model.get_denoised()
    adata.obsm["X_scif"] = model.get_latent_representation()
    np.testing.assert_array_equal(before.get_latent_representation(), latent)  # scVI's model is as it was
    np.testing.assert_array_equal(adata.X, counts)
    return adata


def test_scvi_is_set_up_and_trained_after(adata: AnnData) -> None:
    after = adata.copy()
    scvi.model.SCVI.setup_anndata(after, layer=None)
    model = scvi.model.SCVI(after, n_hidden=8, n_latent=2)
    model.train(max_epochs=1, accelerator="cpu", enable_progress_bar=False)
    assert np.isfinite(model.get_normalized_expression(return_numpy=True)).all()


def test_scanpy_finds_the_types_and_their_genes(adata: AnnData) -> None:
    found = AnnData(adata.layers["denoised"].copy(), obs=adata.obs.copy(), var=adata.var.copy())
    sc.pp.normalize_total(found, target_sum=1e4)
    sc.pp.log1p(found)
    sc.pp.pca(found, n_comps=10)
    sc.pp.neighbors(found, n_neighbors=10)
    own = found.obs["type"].cat.codes.to_numpy()
    near = found.obsp["connectivities"].tocoo()
    assert (own[near.row] == own[near.col]).mean() > 0.9
    sc.tl.rank_genes_groups(found, "type", groups=["b"])
    first = sc.get.rank_genes_groups_df(found, "b").names[:PROGRAM]
    assert first.isin(found.var_names[:PROGRAM]).mean() >= 0.9  # some genes have hardly a molecule a cell


def test_scib_metrics_judge_the_latent_factors(adata: AnnData) -> None:
    scores = scib_metrics.nmi_ari_cluster_labels_kmeans(adata.obsm["X_scif"], adata.obs["type"].to_numpy())
    assert scores["ari"] > 0.8
    width = scib_metrics.silhouette_label(adata.obsm["X_scif"], adata.obs["type"].to_numpy())
    assert 0.5 < width < 1


def test_decoupler_scores_the_program_better_than_from_counts(adata: AnnData) -> None:
    net = pd.DataFrame({"source": "program", "target": adata.var_names[:PROGRAM], "weight": 1.0})
    truth = adata.obs["type"].cat.codes.to_numpy()

    def agreement(layer: str | None) -> float:
        given = adata.copy()
        if layer is not None:
            given.X = given.layers[layer]
        sc.pp.normalize_total(given)
        sc.pp.log1p(given)
        dc.mt.ulm(data=given, net=net, tmin=5, verbose=False)
        return float(np.corrcoef(given.obsm["score_ulm"]["program"], truth)[0, 1])

    assert agreement("denoised") > max(0.85, agreement(None))
