"""A few cells of a kind of their own: their estimates stay near their counts, deep or not."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from scif.datasets import simulate_counts
from scif.model import ICM

MARKERS = 20


@pytest.fixture(scope="module", params=[(6, 5000, 0.8), (10, 600, 0.6)], ids=["deep", "shallow"])
def rare(request: pytest.FixtureRequest) -> tuple[int, np.ndarray]:
    """1,500 cells of about 600 molecules; the first few have most of their own in markers that others hardly have."""
    cells, molecules, share = request.param
    counts = simulate_counts(1500, 300, depth=600, truth=False, seed=0).X.toarray()
    rng = np.random.default_rng(1)
    common = counts.sum(0) / counts.sum()
    profile = (1.0 - share) * common
    profile[common.argsort()[:MARKERS]] += share * rng.dirichlet(np.ones(MARKERS))
    counts[:cells] = rng.multinomial(molecules, profile / profile.sum(), size=cells)
    return cells, counts.astype(np.float32)


@pytest.mark.trains
@pytest.mark.parametrize("estimator", ["mean", "transport"])
def test_estimates_explain_every_cell_better_than_the_average_cell_does(
    rare: tuple[int, np.ndarray], estimator: str
) -> None:
    cells, counts = rare
    adata = ad.AnnData(counts)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    found = model.get_denoised(estimator=estimator)
    change = np.log(found / found.sum(1, keepdims=True) + 1e-9) - np.log(counts.sum(0) / counts.sum() + 1e-9)
    nats = (counts * change).sum(1) / counts.sum(1)
    assert nats.min() > 0.0
    assert nats[:cells].min() > 1.0
    assert (found - counts)[:cells].max() < 100.0
