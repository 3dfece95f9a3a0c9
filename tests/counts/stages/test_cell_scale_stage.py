"""Scales of cells, learned from counts: their distribution, the genes that go along, and what they are good for."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import scif
from scif.counts.config import CellScaleConfig
from scif.counts.data.batch import CountBatch
from scif.counts.data.dataset import CountDataset
from scif.counts.data.sample import CellSample
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.network import CountNetwork
from scif.counts.posterior.cell_scale import POINTS, cell_scales
from scif.counts.posterior.estimate import gene_shapes, scales
from scif.counts.posterior.expectation import expectation
from scif.counts.posterior.parameters import MAX_SHAPE, CellScale, Dispersion, Parameters
from scif.counts.stages.cell_scale import fit_cell_scale, learn_scales
from scif.model import ICM

GENES, ALPHA = 120, 2.0


def drawn(log2_scale: np.ndarray, *, seed: int = 0) -> sp.csr_matrix:
    """Gamma-Poisson counts of cells of these scales, with a mean of four."""
    rng = np.random.default_rng(seed)
    shape = ALPHA * 2.0 ** (log2_scale[:, None] * np.ones(GENES))
    return sp.csr_matrix(rng.poisson(4.0 * rng.gamma(shape) / shape).astype(np.float32))


def fitted(x: sp.csr_matrix) -> tuple[CellScale | None, np.ndarray]:
    """Distribution of the scales, and scales of these cells, around a network that predicts the same for each."""
    network = CountNetwork(GENES, 2).eval()
    for parameter in network.parameters():
        parameter.data.zero_()
    dispersion = Dispersion(torch.full((GENES,), ALPHA), torch.full((GENES,), MAX_SHAPE))
    parameters = Parameters(torch.full((GENES,), 1.0 / GENES), dispersion)
    cells = CellSample(CountDataset(x), np.arange(x.shape[0]), 100, torch.device("cpu"))
    fit = fit_cell_scale(network, parameters, cells, CellScaleConfig())
    counts = SparseCounts.from_scipy(x)
    parameters = replace(parameters, cell_scale=fit.scale)
    with torch.no_grad():
        expected = expectation(network, parameters, CountBatch(counts)).at_depth
        return fit.scale, scales(parameters, counts, expected).numpy()


def test_the_distribution_of_scales_is_found():
    truth = np.random.default_rng(1).normal(0.0, 0.8, 600)
    scale, found = fitted(drawn(truth))
    assert abs(scale.spread - 0.8) < 0.08
    assert abs(scale.centre) < 0.15
    assert np.corrcoef(np.log2(found), truth)[0, 1] > 0.9


def test_cells_that_are_alike_stay_alike():
    _, found = fitted(drawn(np.zeros(600)))
    assert np.log2(found).std() < 0.1
    assert np.abs(np.log2(found)).max() < 0.5


def test_few_cells_change_nothing():
    scale, found = fitted(drawn(np.linspace(-2.0, 2.0, CellScaleConfig().fewest_cells - 1)))
    assert scale is None
    assert (found == 1).all()


@pytest.mark.parametrize("peak", [-2.75, 0.0, 2.75])
def test_cells_that_all_agree_to_the_last_bit_have_a_scale(peak: float) -> None:
    """The variance of their scales is zero, which rounding must not make negative."""
    evidence = torch.from_numpy(-100.0 * (POINTS - peak) ** 2)[:, None].expand(-1, 30)
    fit = learn_scales(evidence, CellScaleConfig())
    assert fit.scale is not None
    assert np.isfinite(fit.scale.spread)
    assert bool(torch.isfinite(cell_scales(fit.scale, evidence)).all())


def test_em_records_its_rounds_and_converges():
    evidence = torch.from_numpy(-((POINTS - 0.5) ** 2))[:, None].expand(-1, 30)
    fit = learn_scales(evidence, CellScaleConfig())
    assert fit.converged
    assert len(fit.objective) == fit.rounds > 1
    short = learn_scales(
        torch.from_numpy(-((POINTS - 0.5) ** 2))[:, None].expand(-1, 30), CellScaleConfig(max_rounds=1)
    )
    assert not short.converged


def uneven(cells: int = 400) -> tuple[ad.AnnData, np.ndarray, np.ndarray]:
    """Cells of two types of which some are far from what genes share, their expected counts, and their scales."""
    rng = np.random.default_rng(3)
    profiles = rng.gamma(1.0, 4.0, (2, GENES))
    log2_scale = rng.normal(0.0, 1.5, cells)
    shape = 4.0 * 2.0 ** log2_scale[:, None] * np.ones(GENES)
    x0 = profiles[rng.integers(2, size=cells)] * rng.gamma(shape) / shape
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(x0).astype(np.float32)))
    adata.obs_names, adata.var_names = (np.arange(n).astype(str) for n in adata.shape)
    return adata, x0, log2_scale


@pytest.mark.trains
def test_uneven_cells_are_closer_to_the_truth():
    adata, x0, truth = uneven()
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(max_epochs=30, enable_progress_bar=False)
    assert model.module.fitted.cell_scale.spread > 0.8

    def error() -> float:
        return float(((model.get_denoised() - x0) ** 2 / x0.mean()).mean())

    scales = model.get_cell_scale()
    assert scales.index.equals(adata.obs_names)
    assert np.corrcoef(np.log2(scales), truth)[0, 1] > 0.8
    pd.testing.assert_series_equal(model.get_cell_scale(indices=[7, 3]), scales.iloc[[7, 3]], rtol=1e-4)
    pd.testing.assert_series_equal(model.get_cell_scale(adata[5:9].copy(), batch_size=2), scales.iloc[5:9], rtol=1e-4)
    with_scales = error()
    model.module.fitted = replace(model.module.fitted, cell_scale=None)
    assert with_scales < 0.97 * error()


@pytest.mark.trains
@pytest.mark.parametrize("has_prior", [False, True], ids=["no prior", "prior"])
def test_transport_takes_all_cells_to_be_alike_and_draws_do_not(has_prior):
    adata = scif.datasets.simulate_counts(100, 30, depth=200, seed=0)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    module, cells = model.module, CountBatch(SparseCounts.from_scipy(adata.X))
    assert module.fitted.prior is not None
    prior = module.fitted.prior if has_prior else None
    dispersion = Dispersion(torch.full((30,), 2.0), torch.full((30,), MAX_SHAPE))
    credibility = (torch.arange(30) >= 10).float()
    base = replace(module.fitted, prior=prior, dispersion=dispersion, credibility=credibility, cell_scale=None)

    @torch.no_grad()
    def shape() -> torch.Tensor:
        expected = expectation(module.network, module.fitted, cells).at_depth
        return gene_shapes(module.fitted, cells.x, expected).expand(100, 30)

    module.fitted = base
    before, plain = model.get_denoised(estimator="transport"), shape()
    module.fitted = replace(base, cell_scale=CellScale(0.0, 2.0))
    np.testing.assert_array_equal(model.get_denoised(estimator="transport"), before)
    factors = (shape() / plain).numpy()
    np.testing.assert_allclose(factors[:, :10], 1.0, rtol=1e-2)
    np.testing.assert_allclose(factors[:, 10:], factors[:, 10:11] * np.ones(20), rtol=1e-2)
    assert factors[:, 10].std() > 0.1
