from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scif.metrics import changed_most, noise_found, over_smoothing


def test_overdispersion_is_that_of_the_draw():
    rng = np.random.default_rng(0)
    depth = rng.gamma(5.0, 0.2, (3000, 1))
    shape = np.array([0.5, 1.0, 2.0, 5.0] + [1e9] * 200)
    counts = rng.poisson(depth * 5.0 * rng.gamma(shape, 1 / shape, (3000, 204)))
    found = noise_found(counts)
    np.testing.assert_allclose(found.overdispersion[:4], 1 / shape[:4], rtol=0.15)
    assert np.abs(found.overdispersion[4:]).max() < 5 * found.standard_error[4]
    assert found.overdispersion[4:].std() == pytest.approx(found.standard_error[4], rel=0.2)
    assert found.poisson_share == pytest.approx(200 / 204, abs=0.01)
    assert found.poisson_is_enough
    assert "Poisson noise is enough" in found.message


def test_kinds_of_cells_are_no_noise_once_they_are_named():
    rng = np.random.default_rng(0)
    types = np.repeat([0, 1], 400)
    profiles = rng.dirichlet(np.ones(100), 2) * 2000
    counts = sparse.csr_matrix(rng.poisson(profiles[types]))
    assert noise_found(counts, clusters=types).poisson_share > 0.95
    assert noise_found(counts).poisson_share < 0.5


def test_amplified_reads_are_told():
    reads = 10 * np.random.default_rng(0).poisson(2.0, (300, 50))
    found = noise_found(reads)
    assert not found.poisson_is_enough
    assert 'noise="nb"' in found.message


def test_too_few_molecules_say_so():
    found = noise_found(np.eye(5))
    assert np.isnan(found.steadiest)
    assert found.poisson_is_enough
    assert "abundant enough" in found.message


def test_a_wrong_cell_and_a_wrong_gene_come_first():
    rng = np.random.default_rng(0)
    mean = rng.gamma(2.0, 2.0, (60, 40))
    counts = rng.poisson(mean)
    _, by_gene = changed_most(np.where(np.arange(40) == 3, 2.0 * mean, mean), counts, n=5)
    mean[7] = mean[7][::-1]
    by_cell, _ = changed_most(mean, counts, n=5, cells=[f"c{i}" for i in range(60)])
    assert by_cell.index[0] == "c7"
    assert by_gene.index[0] == 3
    assert len(by_cell) == len(by_gene) == 5
    assert by_cell.loc["c7", "counts"] == counts[7].sum()
    moved = np.abs(counts[7] - mean[7]).sum() / (counts[7].sum() + mean[7].sum())
    assert by_cell.loc["c7", "moved"] == pytest.approx(moved)


def test_surprise_is_standard_normal_where_counts_are_poisson_around_their_estimates():
    mean = np.random.default_rng(0).gamma(2.0, 2.0, (300, 400))
    counts = np.random.default_rng(1).poisson(mean)
    by_cell, _ = changed_most(mean, counts, n=300)
    assert abs(by_cell["surprise"].mean()) < 0.25
    assert by_cell["surprise"].std() == pytest.approx(1.0, abs=0.2)


def test_values_may_come_block_by_block(simulated):
    denoised = np.repeat(simulated.layers["truth"], 3, axis=0)
    observed = sparse.csr_matrix(np.repeat(simulated.X.toarray(), 3, axis=0))
    rows_asked = []

    def by_block(rows):
        rows_asked.append((rows.start, rows.stop))
        return denoised[rows]

    for one, two in zip(changed_most(denoised, observed), changed_most(by_block, observed), strict=True):
        assert one.equals(two)
    assert rows_asked == [(0, 1024), (1024, 1200)]
    one, two = (over_smoothing(d, observed, denoised_null=d) for d in (denoised, by_block))
    assert one.to_frame().equals(two.to_frame())
    with pytest.raises(ValueError, match=r"denoised\[0:1024\] has shape"):
        changed_most(lambda rows: denoised[rows, :5], observed)
