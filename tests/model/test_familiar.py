"""Calls that users of scvi-tools know."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import scif
from scif.model import ICM
from scif.model.memory import LARGE, gigabytes, tell_if_large


@pytest.fixture(scope="module")
def adata():
    data = scif.datasets.simulate_counts(150, 60, n_types=3, n_batches=2, seed=0)
    data.obs["factor"] = np.random.default_rng(0).uniform(0.5, 2.0, 150)
    return data


@pytest.fixture(scope="module")
def model(adata):
    ICM.setup_anndata(adata, batch_key="batch", size_factor_key="factor")
    model = ICM(adata)
    model.train(max_epochs=8, enable_progress_bar=False)
    return model


def test_library_sizes_are_what_they_are_called(adata, model):
    counted = adata.X.sum(1).A1
    by_factor = adata.obs["factor"].to_numpy() * counted.sum() / adata.obs["factor"].sum()
    for name, wanted in ((None, by_factor), ("latent", by_factor), ("observed", counted), (500.0, 500.0)):
        np.testing.assert_allclose(model.get_denoised(library_size=name).sum(1), wanted, rtol=1e-3)
    with pytest.raises(ValueError, match="library_size is 'median'"):
        model.get_denoised(library_size="median")


def test_normalised_expression_has_the_scale_of_scvi_tools(adata, model):
    frame = model.get_normalized_expression()
    assert list(frame.index) == list(adata.obs_names)
    assert list(frame.columns) == list(adata.var_names)
    np.testing.assert_allclose(frame.sum(1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(frame * 1e4, model.get_denoised(library_size=1e4), rtol=1e-4)
    genes = ["gene_5", "gene_2"]
    some = model.get_normalized_expression(gene_list=genes, indices=[4, 1], weights="uniform")
    np.testing.assert_allclose(some, frame[genes].iloc[[4, 1]], rtol=1e-5)
    assert model.get_normalized_expression(n_samples=3, return_mean=False, indices=[0]).shape == (3, 1, 60)
    assert model.get_normalized_expression(return_numpy=True).dtype == np.float32
    other = model.get_normalized_expression(transform_batch=adata.obs["batch"].iloc[0])
    assert other.shape == frame.shape


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_samples_overall": 10}, "pass n_samples"),
        ({"weights": "importance"}, "weights='importance'"),
        ({"dataloader": []}, "leave it out"),
        ({"gene_list": ["nope"]}, "nope"),
        ({"n_samples": 2, "return_mean": False, "return_numpy": False}, "return_numpy"),
    ],
)
def test_arguments_without_meaning_are_refused(model, arguments, said):
    with pytest.raises(ValueError, match=said):
        model.get_normalized_expression(**arguments)


def test_factors_and_loadings_give_the_log_expression(adata):
    """What genes share is the softmax of factors times loadings, up to a constant of each cell and each gene."""
    data = adata.copy()
    ICM.setup_anndata(data)
    model = ICM(data, residual=False)
    model.train(max_epochs=8, enable_progress_bar=False)
    factors, loadings = model.get_latent_representation(), model.get_loadings()
    assert factors.shape == (150, loadings.shape[1])
    assert list(loadings.index) == model.gene_names_
    given = factors @ loadings.to_numpy().T
    log = np.log(model.get_denoised(library_size=1).clip(1e-9))
    varies = model.credibility.to_numpy() > 0
    given, log = (x[:, varies] - x[:, varies].mean(0) for x in (given, log))
    given, log = (x - x.mean(1, keepdims=True) for x in (given, log))
    assert np.corrcoef(given.ravel(), log.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(
        model.get_latent_representation(indices=[7, 3], batch_size=1), factors[[7, 3]], atol=1e-3
    )


def test_covariances_are_positive_and_larger_for_shallow_cells(adata, model):
    mean, covariance = model.get_latent_representation(give_cov=True)
    assert covariance.shape == (150, mean.shape[1], mean.shape[1])
    np.testing.assert_allclose(covariance, covariance.transpose(0, 2, 1), atol=1e-5)
    assert np.linalg.eigvalsh(covariance).min() > -1e-5
    thin = adata.copy()
    thin.X.data = np.random.default_rng(1).binomial(thin.X.data.astype(int), 0.3).astype(np.float32)
    _, wider = model.get_latent_representation(thin[np.asarray(thin.X.sum(1)).ravel() > 0].copy(), give_cov=True)
    assert np.trace(wider, axis1=1, axis2=2).mean() > np.trace(covariance, axis1=1, axis2=2).mean()


def test_factors_tell_types_apart(adata, model):
    from scif.metrics import neighbour_agreement

    shuffled = np.random.default_rng(0).permutation(adata.obs["cell_type"])
    factors = model.get_latent_representation()
    agreement = [neighbour_agreement(factors, labels).mean() for labels in (adata.obs["cell_type"], shuffled)]
    assert agreement[0] > agreement[1] + 0.2


def test_calls_of_scvi_tools_say_what_to_call(model, capsys):
    model.view_registry()
    model.view_anndata_setup()
    assert capsys.readouterr().out.count("Setup via `ICM.setup_anndata`") == 2
    for name in ("get_elbo", "differential_abundance", "setup_annbatch"):
        with pytest.raises(NotImplementedError, match=f"ICM has no {name}"):
            getattr(model, name)()
    with pytest.raises(NotImplementedError, match="setup_anndata again"):
        model.update_setup_method_args({})
    with pytest.raises(AttributeError, match="held-out molecules"):
        model.get_marginal_ll()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = model.nonsense


def test_large_results_are_announced():
    assert gigabytes((10, 100_000), np.float64) == pytest.approx(0.008)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tell_if_large((1000, 1000))
    with pytest.warns(UserWarning, match=r"takes 120.0 GB of memory.*denoise_to"):
        tell_if_large((1_000_000, 30_000))
    assert LARGE == 8.0
