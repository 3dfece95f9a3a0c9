"""Spike-ins are no genes of cells: their sums are as good as the counts', and what cells share is not disturbed."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scif
from scif.counts import fit_counts
from scif.model import ICM

GENES, SPIKES = 60, 8


def make(molecules: float = 50.0, *, cells: int = 120, names: str = "ERCC-{:05d}", seed: int = 0) -> ad.AnnData:
    genes = scif.datasets.simulate_counts(cells, GENES, depth=600, depth_spread=0.6, seed=seed)
    rng = np.random.default_rng(seed)
    spikes = rng.poisson(molecules * rng.dirichlet(np.ones(SPIKES)), (cells, SPIKES))
    data = ad.AnnData(sparse.csr_matrix(np.hstack([genes.X.toarray(), spikes]).astype(np.float32)))
    data.var_names = [f"g{i}" for i in range(GENES)] + [names.format(i) for i in range(SPIKES)]
    data.obs["rna"] = np.asarray(genes.layers["truth"]).sum(1)
    return data


def trained(data: ad.AnnData, **setup) -> ICM:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ICM.setup_anndata(data, **setup)
    model = ICM(data)
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


@pytest.mark.parametrize("how", ["name", "column", "kind"])
def test_spike_ins_are_found_and_it_is_said_in_one_line(how):
    data = make(names="ERCC-{:05d}" if how == "name" else "control{}")
    spikes = np.arange(data.n_vars) >= GENES
    if how == "column":
        data.var["spike_in"] = spikes
    if how == "kind":
        data.var["feature_types"] = np.where(spikes, "Negative Control Probe", "Gene Expression")
    with pytest.warns(UserWarning, match=r"8 features are spike-ins or controls") as caught:
        ICM.setup_anndata(data)
    own = [each for each in caught if each.category is UserWarning]
    assert len(own) == 1
    assert own[0].filename == __file__


def test_genes_are_no_spike_ins():
    data = make(names="ERCC{}")  # ERCC1 to ERCC8 repair DNA
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ICM.setup_anndata(data)
        marked = make()
        marked.var["control"] = False
        ICM.setup_anndata(marked)
        alone = make()[:, GENES:].copy()
        ICM.setup_anndata(alone[np.asarray(alone.X.sum(1)).ravel() > 0].copy())


@pytest.mark.trains
@pytest.mark.parametrize("molecules", [10.0, 50.0, 2000.0])
def test_sums_of_spike_ins_are_those_of_the_counts(molecules):
    data = make(molecules)
    data = data[np.asarray(data.X[:, :GENES].sum(1)).ravel() > 0].copy()
    model = trained(data)
    x, denoised = data.X.toarray(), model.get_denoised()
    np.testing.assert_array_equal(denoised[:, GENES:], x[:, GENES:])
    np.testing.assert_allclose(denoised[:, :GENES].sum(1), x[:, :GENES].sum(1), rtol=1e-4)
    genes = trained(data[:, :GENES].copy()).get_denoised()
    apart = np.abs(denoised[:, :GENES] - genes).sum() / genes.sum()
    assert apart < 0.05, apart  # another start of the network, and nothing else
    assert (model.credibility[GENES:] == 0).all()


@pytest.mark.trains
def test_every_getter_keeps_them_as_counted(tmp_path):
    data = make()
    data.obs["factor"] = np.linspace(0.5, 2.0, data.n_obs)
    model = trained(data, size_factor_key="factor")
    x = data.X.toarray()
    spikes = list(data.var_names[GENES:])
    observed = model.get_denoised(library_size="observed")
    np.testing.assert_allclose(observed[:, GENES:], x[:, GENES:], rtol=1e-5)
    np.testing.assert_allclose(observed.sum(1), x.sum(1), rtol=1e-4)
    hundred = model.get_denoised(library_size=100.0)
    np.testing.assert_allclose(hundred.sum(1), 100.0, rtol=1e-4)
    np.testing.assert_allclose(hundred[:, GENES:].sum(1) / 100, x[:, GENES:].sum(1) / x.sum(1), rtol=1e-4)
    both = model.get_denoised(gene_list=spikes[::-1], library_size="observed", return_std=True)
    np.testing.assert_allclose(both[0], x[:, GENES:][:, ::-1], rtol=1e-5)
    np.testing.assert_allclose(both[1], np.sqrt(x[:, GENES:][:, ::-1]), rtol=1e-5)
    low, high = model.get_denoised(gene_list=spikes, library_size="observed", quantiles=(0.05, 0.95))
    assert ((low <= x[:, GENES:]) & (x[:, GENES:] <= high)).all()
    shuffled = data[::-1, ::-1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(model.get_denoised(shuffled)[::-1, ::-1], model.get_denoised(), rtol=1e-4)
    model.save(tmp_path / "model", overwrite=True)
    again = ICM.load(tmp_path / "model", adata=data)
    np.testing.assert_array_equal(again.get_denoised(), model.get_denoised())


def test_cells_of_spike_ins_alone_are_refused():
    data = make()
    x = data.X.toarray()
    x[[4, 9], :GENES] = 0
    data.X = sparse.csr_matrix(x)
    with pytest.raises(ValueError, match="'4', '9'"):
        ICM.setup_anndata(data)


@pytest.mark.trains
def test_arrays_have_controls_by_number():
    data = make()
    fitted = fit_counts(data.X, controls=np.arange(GENES, GENES + SPIKES), max_epochs=1)
    np.testing.assert_array_equal(fitted.denoise()[:, GENES:], data.X.toarray()[:, GENES:])
    np.testing.assert_array_equal(fitted.denoise(data.X[:9])[:, GENES:], data.X.toarray()[:9, GENES:])
