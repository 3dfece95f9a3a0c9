"""Totals of genes stay what they are, and no gene that was counted is lost."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from scif.counts import CountConfig
from scif.counts.config import StartConfig
from scif.datasets import simulate_counts
from scif.model import ICM

EXTRA = 6


def trained(counts: np.ndarray, config: CountConfig | None = None) -> ICM:
    adata = ad.AnnData(counts.astype(np.float32))
    ICM.setup_anndata(adata)
    model = ICM(adata, config=config)
    model.train(enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    return simulate_counts(1200, 200, depth=600, truth=False, seed=0).X.toarray()


@pytest.mark.trains
def test_totals_are_kept_where_counts_are_not_log_linear_in_depth(simulated: np.ndarray) -> None:
    """A gene of which shallow cells have some and deep ones hardly any."""
    rng = np.random.default_rng(1)
    counts = rng.binomial(simulated.astype(int), rng.uniform(0.05, 1.0, (len(simulated), 1)))
    depth = counts.sum(1)
    level = np.where(depth < np.median(depth), 6.0, 0.3)
    counts = np.column_stack([counts, rng.poisson(level * rng.gamma(1.0, 1.0, level.shape))])
    model = trained(counts)
    assert model.credibility.iloc[-1] == 0.0
    assert model.depth_slope.iloc[-1] < -0.3
    ratio = model.get_denoised().sum(0) / counts.sum(0)
    assert abs(ratio[-1] - 1.0) < 0.05
    alone = (model.credibility.to_numpy() == 0.0) & (counts.sum(0) > 0)
    assert np.abs(ratio[alone] - 1.0).max() < 0.1


@pytest.mark.trains
def test_a_gene_that_one_cell_has_is_expected_of_no_other(simulated: np.ndarray) -> None:
    alone = np.zeros((len(simulated), 1))
    alone[17] = 60.0
    found = trained(np.hstack([simulated, alone])).get_denoised()[:, -1]
    assert 50.0 < found[17] < 61.0
    assert np.delete(found, 17).sum() < 6.0


@pytest.mark.trains
def test_totals_are_kept_by_a_second_training_as_by_the_first(simulated: np.ndarray) -> None:
    """Of a gene half of whose molecules are in one cell: what is expected of the others is not halved twice."""
    gene = np.random.default_rng(4).poisson(0.05, (len(simulated), 1))
    gene[17] = gene.sum()
    counts = np.hstack([simulated, gene])
    model = trained(counts)
    once = model.get_denoised().sum(0)[-1]
    model.train(max_epochs=4, enable_progress_bar=False)
    assert model.credibility.iloc[-1] == 0.0
    assert abs(once / gene.sum() - 1.0) < 0.05
    assert abs(model.get_denoised().sum(0)[-1] / gene.sum() - 1.0) < 0.05


@pytest.mark.trains
def test_genes_of_cells_that_the_start_does_not_see_are_not_lost(simulated: np.ndarray) -> None:
    """As of cells beyond the first 10,000 that are drawn: here beyond 300."""
    config = CountConfig(start=StartConfig(cells=300))
    drawn = [np.random.default_rng([0, i]).permutation(len(simulated))[:300] for i in (3, 5)]
    unseen = np.setdiff1d(np.arange(len(simulated)), np.union1d(*drawn))[:4]
    rare = np.zeros((len(simulated), EXTRA))
    rare[unseen] = np.random.default_rng(2).poisson(25.0, (4, EXTRA))
    model = trained(np.hstack([simulated, rare]), config)
    for estimator in ("mean", "transport"):
        found = model.get_denoised(estimator=estimator)[:, -EXTRA:]
        assert (found[unseen] > 0.75 * rare[unseen]).all()
        assert (found > 0).all() or estimator == "transport"


@pytest.mark.trains
@pytest.mark.parametrize("molecules", [1, 2])
def test_no_gene_is_lost_whose_molecules_are_held_out(simulated: np.ndarray, molecules: int) -> None:
    """One or two in a cell: some of these genes have none left to train on."""
    rng = np.random.default_rng(3)
    single = np.zeros((len(simulated), 200))
    for gene in range(200):
        single[rng.choice(len(simulated), molecules, replace=False), gene] = 1.0
    found = trained(np.hstack([simulated, single])).get_denoised()[:, 200:]
    assert (found > 0).all()
    total = found.sum(0)
    assert 0.5 * molecules < total.min() and total.max() < 2.0 * molecules
