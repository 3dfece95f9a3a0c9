"""Wiring: each part of the model, switched off, changes what it is for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import scif
from scif.counts import FittedCounts, fit_counts
from scif.counts.data.batch import CountBatch
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.frozen import flatten, restore
from scif.counts.posterior.expectation import composition
from scif.counts.posterior.parameters import MAX_SHAPE, Parameters
from scif.counts.recipe import STAGES
from scif.counts.report import FitReport
from scif.model import ICM


@pytest.fixture(scope="module")
def adata() -> Any:
    data = scif.datasets.simulate_counts(200, 80, n_batches=2, seed=0)
    counts = data.X.toarray()
    rng = np.random.default_rng(0)
    for gene in range(6):  # genes that share no variance, one of them with as many counts at every depth
        counts[:, gene] = rng.poisson(3.0, 200)
    counts[17, 5] = 300.0
    data.X = sparse.csr_matrix(counts)
    return data


@pytest.fixture(scope="module")
def fitted(adata: Any) -> FittedCounts:
    return fit_counts(adata.X, batch=adata.obs["batch"].to_numpy(), max_epochs=8)


def denoised(fitted: FittedCounts, kind: str = "mean", **changes: Any) -> np.ndarray:
    """Estimates with other parameters."""
    module = fitted.fit.module
    before = module.fitted
    module.fitted = replace(before, **changes)
    try:
        return fitted.denoise(estimator=kind)
    finally:
        module.fitted = before


@pytest.mark.trains
@pytest.mark.parametrize("name", ["credibility", "trend", "loadings", "prior", "cell_scale"])
def test_each_result_changes_the_mean(fitted: FittedCounts, name: str) -> None:
    assert getattr(fitted.fit.module.fitted, name) is not None
    assert np.abs(denoised(fitted, **{name: None}) - denoised(fitted)).max() > 1e-3


@pytest.mark.trains
def test_the_prior_has_its_share_of_the_mean(fitted: FittedCounts) -> None:
    assert fitted.fit.module.fitted.prior_share == 0.5
    assert np.abs(denoised(fitted, prior_share=0.0) - denoised(fitted)).max() > 1e-3


@pytest.mark.trains
def test_gene_totals_change_the_profile(fitted: FittedCounts) -> None:
    parameters = fitted.fit.module.fitted
    assert parameters.pooled is not None
    assert np.abs(denoised(fitted, profile=parameters.pooled) - denoised(fitted)).max() > 1e-3


@pytest.mark.trains
def test_dispersion_around_draws_is_that_of_transport(fitted: FittedCounts) -> None:
    prior = fitted.fit.module.fitted.prior
    assert prior is not None
    loose = replace(prior, residual_shape=torch.full_like(prior.residual_shape, MAX_SHAPE))
    assert np.abs(denoised(fitted, "transport", prior=loose) - denoised(fitted, "transport")).max() > 1e-2
    np.testing.assert_array_equal(denoised(fitted, prior=loose), denoised(fitted))


@pytest.mark.trains
def test_the_last_dispersion_replaces_the_provisional_one(fitted: FittedCounts) -> None:
    provisional = fitted.fit.module.fitted.provisional
    assert provisional is not None
    assert np.abs(denoised(fitted, dispersion=provisional) - denoised(fitted)).max() > 1e-2


@pytest.mark.trains
def test_uncertainty_is_that_of_draws_and_leaves_the_mean(fitted: FittedCounts) -> None:
    assert fitted.fit.module.fitted.uncertainty is not None
    assert np.abs(denoised(fitted, "sample", uncertainty=None) - denoised(fitted, "sample")).max() > 1e-2
    np.testing.assert_array_equal(denoised(fitted, uncertainty=None), denoised(fitted))


@pytest.mark.trains
def test_the_likelihood_ratio_guards_the_mean_of_two_compositions(fitted: FittedCounts) -> None:
    """A prior that has gone astray loses its weight."""
    module = fitted.fit.module
    prior = module.fitted.prior
    assert prior is not None
    bias = prior.loadings.bias.clone()
    bias[40] += 12.0  # nearly all molecules in one gene
    astray = replace(prior, loadings=replace(prior.loadings, bias=bias))
    cells = CountBatch(
        SparseCounts.from_scipy(fitted.dataset.counts(np.arange(50))), torch.from_numpy(fitted.dataset.batch[:50])
    )
    with torch.no_grad():
        alone = composition(module.network, replace(module.fitted, prior=None), cells)
        found = composition(module.network, replace(module.fitted, prior=astray), cells)
    torch.testing.assert_close(found, alone, rtol=0.05, atol=1e-4)


@pytest.mark.trains
def test_batches_have_offsets_from_the_start(fitted: FittedCounts) -> None:
    offsets = fitted.fit.module.network.batch_offsets
    assert offsets is not None
    assert float(offsets.abs().max()) > 0.05
    name = (fitted.batches or ())[0]
    assert np.abs(fitted.denoise(target_batch=name) - fitted.denoise()).max() > 0.1


@pytest.mark.trains
@pytest.mark.parametrize("batch_key", [None, "batch"])
def test_arrays_and_anndata_give_the_same(adata: Any, fitted: FittedCounts, batch_key: str | None) -> None:
    ours, data = fitted, adata.copy()
    # codes are of the order of appearance for arrays, and of the categories for AnnData
    data.obs["batch"] = pd.Categorical(data.obs["batch"].astype(str), [str(name) for name in fitted.batches or ()])
    if batch_key is None:
        ours = fit_counts(adata.X, max_epochs=8)
    ICM.setup_anndata(data, batch_key=batch_key)
    model = ICM(data)
    model.train(max_epochs=8, enable_progress_bar=False)
    for kind in ("mean", "transport", "sample"):
        np.testing.assert_array_equal(model.get_denoised(estimator=kind), ours.denoise(estimator=kind), err_msg=kind)
    np.testing.assert_array_equal(model.get_cell_scale().to_numpy(), ours.cell_scale())


@pytest.mark.trains
def test_parameters_survive_flattening(fitted: FittedCounts) -> None:
    parameters = fitted.fit.module.fitted
    tensors, facts = flatten(parameters)
    again, more = flatten(restore(Parameters, tensors, facts))
    assert more == facts
    assert set(again) == set(tensors)
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


@pytest.mark.trains
def test_a_refit_is_the_fit(fitted: FittedCounts) -> None:
    for stage in ("shared_genes", "latent_prior", "gene_totals"):
        np.testing.assert_array_equal(fitted.refit(stage).denoise(), fitted.denoise(), err_msg=stage)
    with pytest.raises(ValueError, match="choose one of"):
        fitted.refit("nothing")


@pytest.mark.trains
def test_the_report_names_every_stage(fitted: FittedCounts) -> None:
    table = fitted.report.to_frame()
    assert list(table.index) == ["start", "network", *STAGES]
    assert not table["error"].any()
    assert (table["seconds"] >= 0).all()
    assert fitted.report["latent_prior"].objective
    assert "informative factors" in repr(fitted.report)
    assert FitReport.from_json(fitted.report.to_json()) == fitted.report


@pytest.mark.trains
def test_the_method_imports_no_single_cell_package() -> None:
    """Not one of its modules does, in a fresh process."""
    code = """
import importlib, pkgutil, sys, scif.counts
for found in pkgutil.walk_packages(scif.counts.__path__, "scif.counts."):
    importlib.import_module(found.name)
bad = {"scvi", "scanpy", "anndata", "scif.model"} & set(sys.modules)
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", code], check=True)
