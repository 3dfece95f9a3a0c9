"""Scales of cells, learned from counts: their distribution, the genes that go along, and what they are good for."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from scif.counts.posterior.consistency import CountConsistency

import scif
from scif.counts.data.batch import CountBatch
from scif.counts.data.sparse_counts import SparseCounts
from scif.counts.network import CountNetwork
from scif.counts.posterior.cell_scale import POINTS
from scif.counts.stages.cell_scale import CELLS, expectations, find_followers, fit_cell_scale
from scif.model import ICM

GENES, ALPHA = 120, 2.0


def flat() -> CountConsistency:
    """A denoiser that expects the same composition of every cell."""
    network = CountNetwork(GENES, 2, dropout=0.0)
    for parameter in network.parameters():
        parameter.data.zero_()
    model = CountConsistency(network).eval()
    model.residual_shape.fill_(ALPHA)
    return model


def drawn(log2_scale: np.ndarray, follows: np.ndarray | None = None, *, seed: int = 0) -> list[CountBatch]:
    """Minibatches of gamma-Poisson counts of cells of these scales, with a mean of four."""
    rng = np.random.default_rng(seed)
    exponent = np.ones(GENES) if follows is None else follows.astype(float)
    shape = ALPHA * 2.0 ** (log2_scale[:, None] * exponent)
    x = SparseCounts.from_scipy(rng.poisson(4.0 * rng.gamma(shape) / shape)).to_scipy()
    return [CountBatch(SparseCounts.from_scipy(x[i : i + 100])) for i in range(0, len(log2_scale), 100)]


def fitted(model: CountConsistency, cells: list[CountBatch]) -> torch.Tensor:
    """Scales of these cells, after their distribution is learned."""
    return fit_cell_scale(model, cells, expectations(model, cells))


def test_the_distribution_of_scales_is_found():
    truth = np.random.default_rng(1).normal(0.0, 0.8, 600)
    model = flat()
    scales = fitted(model, drawn(truth))
    assert abs(float(model.cell_scale.spread) - 0.8) < 0.08
    assert abs(float(model.cell_scale.centre)) < 0.15
    assert np.corrcoef(scales.log2().numpy(), truth)[0, 1] > 0.9


def test_cells_that_are_alike_stay_alike():
    model = flat()
    scales = fitted(model, drawn(np.zeros(600)))
    assert float(scales.log2().std()) < 0.1
    assert float(scales.log2().abs().max()) < 0.5


def test_few_cells_change_nothing():
    model = flat()
    scales = fitted(model, drawn(np.linspace(-2.0, 2.0, CELLS - 1)))
    assert model.cell_scale.even
    assert (scales == 1).all()


@pytest.mark.parametrize("peak", [-2.75, 0.0, 2.75])
def test_cells_that_all_agree_to_the_last_bit_have_a_scale(monkeypatch: pytest.MonkeyPatch, peak: float) -> None:
    """The variance of their scales is zero, which rounding must not make negative."""
    model, cells = flat(), drawn(np.zeros(CELLS + 10))

    def sure(x: SparseCounts, expected: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(-100.0 * (POINTS - peak) ** 2)[:, None].expand(-1, len(t))

    monkeypatch.setattr(model, "scale_evidence", sure)
    scales = fitted(model, cells)
    assert bool(torch.isfinite(model.cell_scale.spread))
    assert bool(torch.isfinite(scales).all())


def test_genes_that_go_along_are_told_from_those_that_do_not():
    truth = np.random.default_rng(2).normal(0.0, 0.8, 600)
    follows = np.arange(GENES) < 80
    cells, model = drawn(truth, follows), flat()
    model.credibility.copy_(torch.arange(GENES) < 40)
    find_followers(model, cells, expectations(model, cells), scales=fitted(model, cells))
    found = model.cell_scale.follows.numpy()
    assert found[:40].all()
    assert found[40:80].mean() > 0.9
    assert found[80:].mean() < 0.05


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
    scale = model.module.cell_scale
    assert float(scale.spread) > 0.8

    def error() -> float:
        return float(((model.get_denoised() - x0) ** 2 / x0.mean()).mean())

    scales = model.get_cell_scale()
    assert scales.index.equals(adata.obs_names)
    assert np.corrcoef(np.log2(scales), truth)[0, 1] > 0.8
    pd.testing.assert_series_equal(model.get_cell_scale(indices=[7, 3]), scales.iloc[[7, 3]], rtol=1e-4)
    pd.testing.assert_series_equal(model.get_cell_scale(adata[5:9].copy(), batch_size=2), scales.iloc[5:9], rtol=1e-4)
    with_scales = error()
    scale.spread.zero_()
    assert with_scales < 0.97 * error()


@pytest.mark.parametrize("fitted", [False, True], ids=["no prior", "prior"])
def test_transport_takes_all_cells_to_be_alike_and_draws_do_not(fitted):
    adata = scif.datasets.simulate_counts(100, 30, depth=200, seed=0)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    assert model.module.prior.fitted
    model.module.prior.is_fitted.fill_(fitted)
    scale, x = model.module.cell_scale, SparseCounts.from_scipy(adata.X)

    @torch.no_grad()
    def shape() -> torch.Tensor:
        return model.module.posterior_shape(x, library=x.totals()) - x.dense()

    model.module.residual_shape.fill_(2.0)
    scale.spread.zero_()
    before, plain = model.get_denoised(estimator="transport"), shape()
    scale.spread.fill_(2.0)
    scale.follows.copy_(torch.arange(30) >= 10)
    np.testing.assert_array_equal(model.get_denoised(estimator="transport"), before)
    factors = (shape() / plain).numpy()
    np.testing.assert_allclose(factors[:, :10], 1.0, rtol=1e-2)
    np.testing.assert_allclose(factors[:, 10:], factors[:, 10:11] * np.ones(20), rtol=1e-2)
    assert factors[:, 10].std() > 0.1
