from __future__ import annotations

import numpy as np
import pytest

from scif.metrics import pooled_profile, truncated_svd


@pytest.mark.parametrize("denoise", [pooled_profile, truncated_svd, lambda X: truncated_svd(X, transform="sqrt")])
def test_library_sizes_are_kept(pbmc, denoise):
    out = denoise(pbmc.X)
    assert out.dtype == np.float32
    assert out.min() >= 0
    np.testing.assert_allclose(out.sum(axis=1, dtype=np.float64), pbmc.X.sum(axis=1).A1, rtol=1e-5)


def test_pooled_profile_is_what_two_steps_of_iterative_proportional_fitting_give():
    counts = np.random.default_rng(0).poisson(3.0, (7, 5))
    out = pooled_profile(counts)
    np.testing.assert_allclose(out.sum(axis=0), counts.sum(axis=0), rtol=1e-5)
    assert np.linalg.matrix_rank(out) == 1


def test_full_rank_gives_the_counts_back():
    counts = np.random.default_rng(0).poisson(3.0, (9, 30)).astype(float)
    counts[-1] = counts[0]  # rank 8
    np.testing.assert_allclose(truncated_svd(counts, 8, transform="sqrt"), counts, atol=1e-4)


@pytest.mark.trains
def test_same_counts_give_the_same_output_however_stored(pbmc):
    assert np.array_equal(truncated_svd(pbmc.X), truncated_svd(pbmc.X.tocsc()))


def test_empty_cells_and_genes_come_back_as_zeros():
    counts = np.random.default_rng(0).poisson(3.0, (9, 30))
    counts[2], counts[:, 4] = 0, 0
    for out in (pooled_profile(counts), truncated_svd(counts, 3)):
        assert np.isfinite(out).all()
        assert not out[2].any()
        assert not out[:, 4].any()
    assert not pooled_profile(np.zeros((2, 2))).any()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="rank is 3"):
        truncated_svd(np.ones((3, 5)), 3)
    with pytest.raises(ValueError, match="transform is 'cube'"):
        truncated_svd(np.ones((3, 5)), 1, transform="cube")
