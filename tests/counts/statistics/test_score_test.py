"""Which genes are believed: evidence is a standard score for genes that follow nothing, and large for those that do."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from scif.counts import CountConfig
from scif.counts.config import SharedGenesConfig
from scif.counts.stages.shared_genes import threshold
from scif.counts.stages.start import svd_start
from scif.counts.statistics.score_test import evidence
from scif.model import ICM

#: Genes that follow two programmes, and genes that follow nothing.
FOLLOWING, ALONE = 60, 340


def drawn(*, seed: int, cells: int = 400, depth: float = 1.0, strength: float = 0.6) -> np.ndarray:
    """Negative binomial counts; library sizes scatter.

    Compositions are closed: no gene makes up much of any, and those that follow keep their sum, so that none of what
    they do is seen in the others.
    """
    rng = np.random.default_rng(seed)
    programmes = np.exp(rng.normal(size=(cells, 2)) @ rng.normal(size=(2, FOLLOWING)) * strength)
    programmes *= FOLLOWING / programmes.sum(1, keepdims=True)
    rate = np.hstack([programmes, np.ones((cells, ALONE))])
    library = rng.lognormal(sigma=0.5, size=(cells, 1)) * depth
    own = rng.gamma(3.0, 1.0 / 3.0, size=rate.shape)
    return rng.poisson(library * rate * own).astype(np.float32)


def score(x: np.ndarray, *, width: int = 4, batch: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    counts = sparse.csr_matrix(x)
    start = svd_start(counts, width, profile=np.asarray(counts.sum(0)).ravel(), rng=np.random.default_rng(seed))
    return evidence(counts, start.components.numpy(), batch=batch, rng=np.random.default_rng(seed))


def test_it_is_a_standard_score_for_genes_that_follow_nothing():
    alone = np.concatenate([score(drawn(seed=s), seed=s)[FOLLOWING:] for s in range(5)])
    assert abs(alone.mean()) < 0.15
    assert alone.std() == pytest.approx(1.0, abs=0.15)
    assert (alone > 3).mean() < 0.03


def test_genes_that_follow_others_are_found():
    x = drawn(seed=0)
    assert (score(x)[:FOLLOWING] > 3).mean() > 0.8


def test_shuffling_a_gene_takes_its_evidence_away():
    x, rng = drawn(seed=1, depth=3.0), np.random.default_rng(0)
    strongest = score(x)[:FOLLOWING].argmax()
    shuffled = x.copy()
    shuffled[:, strongest] = rng.permutation(x[:, strongest])
    before, after = score(x)[strongest], score(shuffled)[strongest]
    assert before > 10
    assert after < 3


def test_a_gene_does_not_follow_itself():
    """One that varies so much that it is a component of its own, and more than all others together."""
    x, rng = drawn(seed=2), np.random.default_rng(0)
    x[:, -1] = rng.poisson(2.0 * rng.gamma(0.2, 5.0, size=len(x)))
    assert score(x)[-1] < 3


def test_what_follows_the_library_size_alone_does_not_count():
    """Counts that do not know their cell's library size: their share falls with it."""
    x, rng = drawn(seed=3), np.random.default_rng(0)
    x[:, -30:] = rng.poisson(1.0, size=(len(x), 30))
    assert (score(x)[-30:] > 3).mean() < 0.1


def test_differences_between_batches_do_not_count():
    x, rng = drawn(seed=4, strength=0.0), np.random.default_rng(0)
    batch = np.repeat([0, 1], len(x) // 2)
    x[batch == 1, :50] = rng.poisson(3.0 * x[batch == 1, :50])
    assert (score(x)[:50] > 3).mean() > 0.3
    assert (score(x, batch=batch) > 3).mean() < 0.05


@pytest.mark.parametrize("cells", [1, 4, 12, 13, 20])
def test_few_cells_say_little_and_break_nothing(cells):
    x = drawn(seed=5, cells=cells, depth=5.0)
    components = np.linalg.qr(np.random.default_rng(0).normal(size=(x.shape[1], 3)))[0]
    found = evidence(sparse.csr_matrix(x), components, rng=np.random.default_rng(0))
    assert np.isfinite(found).all()
    if cells < 12:
        assert (found == 0).all()


def test_genes_of_one_count_everywhere_and_equal_libraries_break_nothing():
    x = np.ones((60, 8), dtype=np.float32)
    x[::2, :2], x[1::2, 2:4] = 3.0, 3.0  # all cells have twelve
    found = score(x, width=2)
    assert np.isfinite(found).all()
    assert found[:4].min() > 3
    assert abs(found[4:]).max() < 2


def test_same_halves_same_evidence():
    x = drawn(seed=6)
    np.testing.assert_array_equal(score(x), score(x))


def believed(x: np.ndarray, config: CountConfig | None = None) -> np.ndarray:
    ICM.setup_anndata(adata := ad.AnnData(sparse.csr_matrix(x)))
    model = ICM(adata, n_latent=2, config=config)
    model.train(max_epochs=5, enable_progress_bar=False)
    assert list(model.credibility.index) == list(adata.var_names)
    return model.credibility.to_numpy()


@pytest.mark.trains
def test_the_model_believes_what_follows_and_not_what_does_not():
    x = drawn(seed=7, depth=2.0)
    found = believed(x)
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert found[:FOLLOWING].mean() > 0.75
    assert found[FOLLOWING:].mean() < 0.1


@pytest.mark.trains
def test_more_is_asked_of_genes_with_variation_of_their_own():
    """With as much asked of all, more of those that follow nothing are believed."""
    x = drawn(seed=8, depth=2.0)
    strict, lenient = believed(x), believed(x, CountConfig(shared_genes=SharedGenesConfig(own_share=1.0)))
    assert (lenient >= strict).all()
    assert lenient[FOLLOWING:].sum() > strict[FOLLOWING:].sum()


def test_more_is_asked_where_genes_of_similar_expression_show_much():
    """A standard score of one is nothing there, and as good as any where all show little."""
    typical = np.array([-1.0, 2.0, 6.0, 8.0, 40.0])
    np.testing.assert_allclose(threshold(np.zeros(5), typical, SharedGenesConfig()), [1.0, 1.0, 1.5, 2.0, 2.0])
    np.testing.assert_allclose(threshold(np.ones(5), typical, SharedGenesConfig()), [2.0, 2.0, 2.0, 2.0, 10.0])
