from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scif.metrics import gene_variances, split_counts


def drawn(cells: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of genes that vary by gamma factors, their expectations, and the shapes of these."""
    rng = np.random.default_rng(0)
    shape = np.array([0.5, 1.0, 2.0, 5.0, 20.0, 1e6, 1e6, 1e6])
    depth = rng.gamma(5.0, 0.2, cells)[:, None]
    expected = depth * rng.gamma(shape, 1 / shape, (cells, 8)) * np.array([1, 2, 3, 4, 5, 100, 200, 300.0])
    return rng.poisson(expected).astype(float), expected, shape


def test_the_signal_has_the_variance_it_was_drawn_with():
    counts, _, shape = drawn()
    split = split_counts(counts, 0.5, seed=1)
    found = gene_variances(split.train, split.train, split.test)
    np.testing.assert_allclose(found.signal / found.mean**2, 1.0 / shape, rtol=0.15, atol=0.01)


def test_expectations_have_it_and_counts_have_the_noise_too():
    counts, expected, _ = drawn()
    split = split_counts(counts, 0.5, seed=1)
    assert gene_variances(expected, split.train, split.test).kept(1.0) == pytest.approx(1.0, abs=0.05)
    noisy = gene_variances(split.train, split.train, split.test)
    noise = (noisy.denoised - noisy.signal) / noisy.mean * split.train.sum() / len(counts)
    np.testing.assert_allclose(noise, 1 - noisy.mean, rtol=0.06)  # that of shares of Poisson counts


def test_sparse_dense_and_scale_do_not_matter():
    counts, expected, _ = drawn(200)
    split = split_counts(counts, 0.7, seed=0)
    one = gene_variances(expected, split.train.toarray(), split.test.toarray())
    two = gene_variances(sparse.csr_matrix(7.0 * expected), split.train, split.test)
    for name in ("denoised", "signal", "mean"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-10)


def test_nonsense_is_refused():
    counts, expected, _ = drawn(50)
    split = split_counts(counts, 0.5, seed=0)
    with pytest.raises(ValueError, match=r"shape \(50, 7\)"):
        gene_variances(expected[:, :7], split.train, split.test)
    with pytest.raises(ValueError, match="no molecule"):
        gene_variances(expected, split.train, 0 * split.test)
    with pytest.raises(ValueError, match="share is 2"):
        gene_variances(expected, split.train, split.test).kept(2.0)
    alike = np.full((50, 4), 10.0)
    with pytest.raises(ValueError, match="no variance that both counts share"):
        gene_variances(alike, alike, alike).kept()
