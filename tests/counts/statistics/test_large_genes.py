"""Genes that are much of their cells' libraries: judged by cells as they are without them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from scif.counts.stages.start import svd_start
from scif.counts.statistics import score_test as evidences
from scif.counts.statistics.large_genes import DEEPEST, LeftOut, large_genes
from scif.counts.statistics.normalise import log_normalise, totals
from scif.model import ICM


def drawn(*, seed: int, cells: int = 400, share: float = 1.0) -> np.ndarray:
    """Sixty genes that follow two programmes, 140 that follow nothing; the last has counts that know nothing of their
    cell, ``share`` times as many as all others of an average cell."""
    rng = np.random.default_rng(seed)
    rate = np.hstack([np.exp(rng.normal(size=(cells, 2)) @ rng.normal(size=(2, 60))), np.ones((cells, 140))])
    rate *= 200 / rate.sum(1, keepdims=True) * rng.lognormal(sigma=0.7, size=(cells, 1))
    x = rng.poisson(rate).astype(np.float32)
    x[:, -1] = rng.poisson(200 * share * rng.gamma(2.0, 0.5, size=cells))
    return x


def score(x: np.ndarray, *, seed: int = 0, batch: np.ndarray | None = None) -> np.ndarray:
    counts = sparse.csr_matrix(x)
    start = svd_start(counts, 4, profile=np.asarray(counts.sum(0)).ravel(), rng=np.random.default_rng(seed))
    return evidences.evidence(counts, start.components.numpy(), batch=batch, rng=np.random.default_rng(seed))


@pytest.mark.trains
def test_counts_that_know_nothing_of_their_cell_are_no_evidence_however_many(monkeypatch):
    """By first order, which all other genes are judged by, they follow what they themselves have done to codes."""
    samples = [drawn(seed=s, share=share) for s in range(8) for share in (0.2, 2.0)]
    found = np.array([score(x, seed=s)[-1] for s, x in enumerate(samples)])
    assert abs(found.mean()) < 1.0
    assert found.max() < 4.0
    monkeypatch.setattr(evidences, "large_genes", lambda x: np.empty(0, dtype=int))
    assert np.median([score(x, seed=s)[-1] for s, x in enumerate(samples)]) > 4.0


def test_a_gene_that_follows_others_is_found_however_many_molecules_it_has():
    x, rng = drawn(seed=0, share=0.0), np.random.default_rng(0)
    strongest = score(x)[:60].argmax()
    x[:, strongest] = rng.poisson(30.0 * (x[:, strongest] + 0.5))
    assert strongest in large_genes(sparse.csr_matrix(x))
    assert score(x)[strongest] > 10


def test_genes_are_large_where_their_average_molecule_is_in_a_library_that_is_a_fiftieth_theirs():
    x = np.zeros((4, 60), dtype=np.float32)
    x[:, 10:] = 2.0
    x[:, 0] = [0, 0, 0, 3]  # 3 of 103 or 104 in one cell
    x[:, 1] = 1.0  # 1 of about 100 in each
    np.testing.assert_array_equal(large_genes(sparse.csr_matrix(x)), [0])


@pytest.mark.parametrize("share", [0.05, 1.0, 10.0])
def test_codes_are_those_of_counts_without_the_gene(share):
    x = sparse.csr_matrix(drawn(seed=1, share=share))
    rng, cells = np.random.default_rng(0), x.shape[0]
    axes = tuple(np.linalg.qr(rng.normal(size=(x.shape[1], 3)))[0] for _ in range(2))
    first = rng.permutation(cells) % 2 == 0
    without = LeftOut.of(x, np.array([199]), axes=axes, first=first, member=np.ones((cells, 1)))
    found = without._factors(0, x[:, [199]].toarray().ravel().astype(float), np.arange(cells))
    # log_normalise brings to the median of all counts, so that both are on one scale
    others = log_normalise(x[:, :199], without.median)
    expected = np.where(first[:, None], others @ axes[0][:199], others @ axes[1][:199])
    # where less than a fiftieth of the library is left, codes say nothing
    judged = totals(x[:, :199]) > np.exp(-DEEPEST) * totals(x)
    assert judged.mean() > 0.9
    np.testing.assert_allclose(found[judged], expected[judged], atol=0.005 * expected.std())


def test_cells_that_have_nothing_else_break_nothing():
    x = drawn(seed=2, cells=60)
    x[:20, :-1], x[:20, -1] = 0.0, 5.0
    found = score(x)
    assert np.isfinite(found).all()
    assert found[-1] < 4
    x[20:22, :-1], x[20, 0], x[21, 1] = 0.0, 1.0, 1.0
    x[20:22, -1] = 1e5
    assert np.isfinite(score(x)).all()


@pytest.mark.parametrize("others", [0, 1, 9, 30])
def test_few_cells_with_anything_else_say_little(others):
    x = drawn(seed=2, cells=60)
    x[others:, :-1], x[:, -1] = 0.0, 20.0
    without = LeftOut.of(
        sparse.csr_matrix(x),
        np.array([199]),
        axes=[np.linalg.qr(np.random.default_rng(0).normal(size=(200, 3)))[0]] * 2,
        first=np.arange(60) % 2 == 0,
        member=np.ones((60, 1)),
    )
    found = without.score(0)
    assert found == 0.0 if others < 9 else abs(found) < 4


def test_libraries_of_one_size_take_no_evidence_away():
    """The others then have the fewer molecules the more the gene has, which is no trend with depth."""
    x, rng = drawn(seed=0, share=0.0), np.random.default_rng(0)
    strongest = score(x)[:60].argmax()
    x[:, strongest] = rng.poisson(30.0 * (x[:, strongest] + 0.5))
    size = int(np.quantile(x.sum(1), 0.3))
    x = np.array([rng.multivariate_hypergeometric(cell.astype(int), size) for cell in x if cell.sum() >= size])
    assert strongest in large_genes(sparse.csr_matrix(x))
    assert score(x.astype(np.float32))[strongest] > 10


def test_batches_of_different_composition_do_not_count():
    x, rng = drawn(seed=3), np.random.default_rng(0)
    batch = np.repeat([0, 1], len(x) // 2)
    x[batch == 1, :30] = rng.poisson(4.0 * x[batch == 1, :30])
    x[batch == 1, -1] = rng.poisson(3.0 * x[batch == 1, -1])
    assert score(x)[-1] > 4
    assert score(x, batch=batch)[-1] < 4


@pytest.mark.trains
def test_the_model_does_not_believe_it():
    x = drawn(seed=4)
    ICM.setup_anndata(adata := ad.AnnData(sparse.csr_matrix(x)))
    model = ICM(adata)
    model.train(max_epochs=5, enable_progress_bar=False)
    assert model.credibility.iloc[:60].mean() > 0.8
    assert model.credibility.iloc[-1] == 0.0
