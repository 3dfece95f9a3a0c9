"""A gene's trend with depth: what is put in is found, and what is noise is not."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import scif
from scif.counts.config import DepthTrendConfig
from scif.counts.statistics.depth_regression import DepthRegression, regress_on_depth
from scif.metrics import mean_absolute_correlation, permute_genes
from scif.model import ICM

#: Slopes of the first genes; the others have none.
SLOPES = (-1.0, -0.5, 0.5)


def drawn(*, cells: int = 800, genes: int = 300, mean: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Poisson counts and library sizes, which are given rather than summed: some genes do not follow them."""
    rng = np.random.default_rng(seed)
    library = 1000.0 * rng.lognormal(sigma=0.5, size=cells)
    slope = np.zeros(genes)
    slope[: len(SLOPES)] = SLOPES
    rate = np.exp(np.outer(np.log(library / 1000.0), 1.0 + slope)) * mean
    return rng.poisson(rate).astype(np.float32), library


def fitted(
    x: np.ndarray,
    library: np.ndarray,
    batch: np.ndarray | None = None,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> DepthRegression:
    member = np.ones((len(x), 1)) if batch is None else np.eye(batch.max() + 1)[batch]
    profiles = (member.T @ x) / (member.T @ library)[:, None]
    return regress_on_depth(
        sp.csr_matrix(x),
        library,
        member=member,
        profiles=profiles,
        dispersion=np.zeros(x.shape[1]),
        bounds=bounds,
    )


def test_slopes_are_found_and_noise_is_shrunk():
    x, library = drawn()
    trend = fitted(x, library)
    np.testing.assert_allclose(trend.slope[: len(SLOPES)], SLOPES, atol=0.12)
    # a Poisson regression on 800 cells errs by 1 / sqrt(800 * 2 * 0.25 * 1.1) = 0.05 of itself
    assert trend.slope[len(SLOPES) :].std() < 0.02


def test_a_share_that_grows_with_depth_is_not_taken_out():
    """Measuring can make a gene's counts lag behind the depth of its cells, and no more than that."""
    x, library = drawn()
    trend, every = fitted(x, library, bounds=DepthTrendConfig().slopes), fitted(x, library)
    np.testing.assert_allclose(trend.slope[:3], [-1.0, -0.5, 0.0], atol=0.12)
    assert trend.slope.min() >= -1.0
    assert trend.slope.max() == 0.0
    flat = every.slope > 0
    assert trend.bias[flat].tolist() == [0.0] * int(flat.sum())
    np.testing.assert_allclose(trend.bias[1], every.bias[1])


def test_expectations_have_as_many_molecules_as_were_seen():
    x, library = drawn()
    trend = fitted(x, library)
    profile = x.sum(0) / library.sum()
    expected = library[:, None] * profile * trend.factor(library, np.ones((len(x), 1)))
    np.testing.assert_allclose(expected.sum(0), x.sum(0), rtol=0.005)


def test_a_batch_that_is_deeper_has_its_own_level():
    """A tenfold difference between batches is no trend: their profiles are their own."""
    x, library = drawn()
    batch = np.arange(len(x)) % 2
    deeper = np.where(batch[:, None] == 1, np.random.default_rng(0).poisson(9.0 * x) + x, x).astype(np.float32)
    alone, both = fitted(x, library), fitted(deeper, library * np.where(batch == 1, 10.0, 1.0), batch)
    assert both.level[1] - both.level[0] == pytest.approx(np.log(10.0), abs=0.1)
    np.testing.assert_allclose(both.slope[: len(SLOPES)], alone.slope[: len(SLOPES)], atol=0.12)


def test_a_batch_without_cells_has_the_level_of_the_others_and_no_gene_no_trend():
    x, library = drawn(cells=50, genes=10)
    member = np.eye(2)[np.zeros(50, int)]
    profiles = np.tile(x.sum(0) / library.sum(), (2, 1))
    trend = regress_on_depth(sp.csr_matrix(x), library, member=member, profiles=profiles, dispersion=np.zeros(10))
    assert trend.level[1] == pytest.approx(trend.level[0])
    nothing = regress_on_depth(
        sp.csr_matrix(x[:, :0]), library, member=member, profiles=profiles[:, :0], dispersion=np.zeros(0)
    )
    assert nothing.slope.shape == nothing.bias.shape == (0,)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_few_cells_and_equal_libraries_have_no_trend(cells):
    x, library = drawn(cells=cells, genes=20)
    assert np.isfinite(fitted(x, library).slope).all()
    same = fitted(x, np.full(cells, 1000.0))
    np.testing.assert_allclose(same.slope, 0.0, atol=1e-6)
    assert np.isfinite(same.bias).all()


def trained(x: sp.csr_matrix, **setup: object) -> tuple[ICM, ad.AnnData]:
    adata = ad.AnnData(x, obs=setup.pop("obs", None))
    ICM.setup_anndata(adata, **setup)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    return model, adata


@pytest.mark.trains
def test_counts_that_do_not_know_their_library_stay_uncorrelated():
    """Counts shuffled as they are: each gene's share of the library falls as it grows, and is no biology."""
    counts = scif.datasets.pbmc68k_counts().X
    common = np.flatnonzero(counts.getnnz(0) >= 0.1 * counts.shape[0])
    added = []
    for seed in (2, 1, 0):  # one draw of the genes gives 0.00 to 0.025
        genes = np.random.default_rng(seed).choice(common, 60, replace=False)
        x = permute_genes(counts, genes, kind="count")
        model, adata = trained(x)
        denoised = model.get_denoised()
        added.append(mean_absolute_correlation(denoised, genes) - mean_absolute_correlation(x, genes))
    assert np.mean(added) < 0.025  # without a trend 0.05
    slope = model.depth_slope
    assert list(slope.index) == list(adata.var_names)
    alone = model.credibility.to_numpy() == 0.0
    assert (slope[~alone] == 0.0).all()
    shuffled = np.intersect1d(genes, np.flatnonzero(alone))
    assert len(shuffled) > 40
    counts = np.asarray(x.sum(0)).ravel()
    # of those with the molecules to show it
    assert np.median(slope.iloc[shuffled[counts[shuffled] > 300]]) == pytest.approx(-1.0, abs=0.2)


@pytest.mark.trains
def test_trend_is_saved_and_follows_size_factors(tmp_path):
    x, library = drawn(cells=300, genes=60, mean=4.0)
    x = sp.csr_matrix(x)
    model, adata = trained(x, obs={"factor": library / library.mean()}, size_factor_key="factor")
    np.testing.assert_allclose(model.depth_slope[:3], np.minimum(SLOPES, 0.0), atol=0.3)
    model.save(tmp_path / "model")
    again = ICM.load(tmp_path / "model", adata=adata)
    np.testing.assert_array_equal(again.depth_slope, model.depth_slope)
    np.testing.assert_array_equal(again.get_denoised(), model.get_denoised())
