from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scif.metrics import split_counts


def test_parts_sum_to_the_counts_and_are_not_negative(pbmc):
    split = split_counts(pbmc.X)
    assert (split.train + split.test != pbmc.X).nnz == 0
    assert split.train.data.min() >= 1
    assert split.test.data.min() >= 1
    assert split.scale == pytest.approx(split.test.sum() / split.train.sum())


def test_the_draw_is_numpys_binomial_over_the_entries_in_row_order(pbmc):
    kept = np.random.default_rng(3).binomial(pbmc.X.data, 0.7)
    expected = sparse.csr_matrix((kept, pbmc.X.indices, pbmc.X.indptr), shape=pbmc.shape)
    assert (split_counts(pbmc.X, 0.7, seed=3).train != expected).nnz == 0


@pytest.mark.parametrize("storage", ["csc", "dense", "csr_array", "float32", "unsorted"])
def test_storage_does_not_matter(pbmc, storage):
    X = pbmc.X
    other = {
        "csc": X.tocsc,
        "dense": X.toarray,
        "csr_array": lambda: sparse.csr_array(X),
        "float32": lambda: X.astype(np.float32),
        "unsorted": lambda: X[:, ::-1][:, ::-1],
    }[storage]()
    assert (split_counts(X).train != split_counts(other).train).nnz == 0


def test_thinning_has_the_binomial_mean_and_parts_of_poisson_counts_are_uncorrelated():
    counts = np.random.default_rng(0).poisson(5.0, size=(400, 500))
    split = split_counts(counts, 0.8, seed=1)
    a, b = split.train.toarray().ravel(), split.test.toarray().ravel()
    n = a.size
    assert abs(a.mean() - 4.0) < 4 * np.sqrt(4.0 / n)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, float("nan")])
def test_fraction_must_be_a_share(fraction):
    with pytest.raises(ValueError, match="fraction is"):
        split_counts(np.ones((2, 2)), fraction)


@pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf])
def test_what_is_not_a_count_is_named_with_its_row(value):
    X = np.ones((3, 4))
    X[1, 2] = value
    with pytest.raises(ValueError, match=r"X holds .* in row 1 \(1 such values\)"):
        split_counts(X)
