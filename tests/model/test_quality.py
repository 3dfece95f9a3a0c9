"""That the model denoises: against the truth on simulations, on held-out molecules on real counts."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from scipy import sparse

import scif
from scif.counts.config import DispersionConfig
from scif.counts.data.dataset import CountDataset
from scif.counts.data.sample import CellSample
from scif.counts.network import CountNetwork
from scif.counts.posterior.parameters import Dispersion, Parameters
from scif.counts.stages.dispersion import fit_dispersion
from scif.metrics import (
    composition_error,
    gene_variances,
    mean_absolute_correlation,
    molecular_cross_validation,
    permute_genes,
    pooled_profile,
    split_counts,
    truncated_svd,
)
from scif.model import ICM


def denoise(adata: ad.AnnData, **kwargs) -> np.ndarray:
    ICM.setup_anndata(adata)
    model = ICM(adata, **kwargs)
    model.train(enable_progress_bar=False)
    return model.get_denoised()


@pytest.fixture(scope="module")
def simulation() -> tuple[ad.AnnData, ICM]:
    adata = scif.datasets.simulate_counts(600, 300, depth=800.0, seed=3)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    return adata, model


@pytest.mark.trains
def test_closer_to_the_truth_than_simple_methods(simulation):
    adata, model = simulation
    truth = np.asarray(adata.layers["truth"])
    errors = {
        "observed": composition_error(adata.X, truth).mean(),
        "pooled": composition_error(pooled_profile(adata.X), truth).mean(),
        "svd": composition_error(truncated_svd(adata.X, 20), truth).mean(),
    }
    ours = composition_error(model.get_denoised(), truth).mean()
    assert ours < 0.9 * min(errors.values()), (ours, errors)


@pytest.mark.trains
def test_amplified_counts_want_the_negative_binomial():
    adata = scif.datasets.simulate_counts(300, 200, depth=500.0, seed=5)
    molecules, truth = adata.X.toarray(), np.asarray(adata.layers["truth"])
    rng = np.random.default_rng(0)
    reads = rng.poisson(20.0 * rng.gamma(np.maximum(molecules, 1e-9))) * (molecules > 0)
    errors = {}
    for noise in ("poisson", "nb"):
        with pytest.warns(UserWarning, match="looks like reads"):
            errors[noise] = composition_error(denoise(ad.AnnData(sparse.csr_matrix(reads)), noise=noise), truth).mean()
    assert errors["nb"] < 0.8 * errors["poisson"]


@pytest.mark.trains
def test_transport_keeps_the_variance_that_the_mean_loses(simulation):
    adata, model = simulation
    truth = np.asarray(adata.layers["truth"])

    def logs(x):
        y = np.log1p(x / x.sum(1, keepdims=True) * 800.0)
        return y - y.mean(0)

    axes = np.linalg.svd(logs(truth), full_matrices=False)[2][:6]
    true = (logs(truth) @ axes.T).var(0)
    ratio = {kind: (logs(model.get_denoised(estimator=kind)) @ axes.T).var(0) / true for kind in ("mean", "transport")}
    assert (abs(ratio["transport"] - 1) < 0.1).all(), ratio
    assert (ratio["mean"] < ratio["transport"]).all(), ratio


@pytest.mark.trains
def test_transport_has_the_variance_that_held_out_molecules_of_real_counts_tell(pbmc):
    split = split_counts(pbmc.X, 0.7, seed=0)
    pbmc.X = split.train
    ICM.setup_anndata(pbmc)
    model = ICM(pbmc)
    model.train(enable_progress_bar=False)
    kept = {
        kind: gene_variances(model.get_denoised(estimator=kind), split.train, split.test).kept()
        for kind in ("mean", "transport")
    }
    assert 0.9 < kept["transport"] < 1.1, kept
    assert kept["mean"] < kept["transport"], kept


@pytest.mark.trains
def test_held_out_molecules_of_real_counts():
    scores = molecular_cross_validation(
        scif.datasets.pbmc68k_counts(),
        {"pooled": lambda a: pooled_profile(a.X), "svd": lambda a: truncated_svd(a.X, 20), "icm": denoise},
        n_splits=1,
    ).to_frame()["poisson_nll"]
    gain = (scores["pooled"] - scores["icm"]) / (scores["pooled"] - scores["svd"])
    assert gain > 1.25, scores


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["rate", "count"])
def test_shuffled_genes_stay_uncorrelated(kind):
    adata = scif.datasets.pbmc68k_counts()
    common = np.flatnonzero(adata.X.getnnz(0) >= 0.1 * adata.n_obs)
    genes = np.random.default_rng(0).choice(common, 20, replace=False)
    adata.X = permute_genes(adata.X, genes, kind=kind, seed=0)
    observed = mean_absolute_correlation(adata.X, genes)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    for estimator in ("mean", "transport"):
        ours = mean_absolute_correlation(model.get_denoised(estimator=estimator), genes)
        assert ours < observed + 0.02, (estimator, observed, ours)


@pytest.mark.trains
def test_a_collapsing_run_says_so():
    """The publication's objective on one coarse step, from a start that knows nothing, erases the signal."""
    adata = scif.datasets.simulate_counts(300, 100, depth=400.0, seed=0)
    ICM.setup_anndata(adata)
    model = ICM(adata, residual=False, start="pooled")
    with pytest.warns(scif.core.CollapseWarning):
        model.train(
            max_epochs=60, anchor_weight=0.0, consistency_weight=1.0, early_stopping=False, enable_progress_bar=False,
            plan_kwargs={"lr": 1e-2},
        )  # fmt: skip
    assert model.collapse_["verdict"] == "collapsing"


def _gamma_poisson(alpha: np.ndarray, *, theta: float = np.inf, cells: int = 1500) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    mean = np.full((cells, len(alpha)), 8.0)
    signal = mean * rng.gamma(alpha, 1 / alpha, mean.shape)
    technical = rng.gamma(theta, 1 / theta, mean.shape) if np.isfinite(theta) else 1.0
    return sparse.csr_matrix(rng.poisson(signal * technical))


def _shapes(x: sparse.csr_matrix, technical: float) -> Dispersion:
    """Dispersions around a network that predicts the same for every cell."""
    genes = x.shape[1]
    network = CountNetwork(genes, 2).eval()
    for parameter in network.parameters():
        parameter.data.zero_()
    parameters = Parameters(torch.full((genes,), 1.0 / genes), Dispersion.none(genes))
    cells = CellSample(CountDataset(x), np.arange(x.shape[0]), x.shape[0], torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    return fit_dispersion(network, parameters, cells, DispersionConfig(), technical=technical, generator=generator)


def test_residual_shapes_come_back():
    alpha = np.repeat([1.0, 5.0], 40)
    fitted = _shapes(_gamma_poisson(alpha), float("inf")).residual_shape.numpy()
    assert 0.7 < np.median(fitted[:40]) < 1.5
    assert 3.5 < np.median(fitted[40:]) < 7.5


def test_known_technical_dispersion_is_taken_off():
    fitted = _shapes(_gamma_poisson(np.full(60, 2.0), theta=4.0), 4.0)
    assert (fitted.inverse_dispersion == 4.0).all()
    assert 1.6 < float(fitted.residual_shape.median()) < 3.2
