"""Technical dispersion is found where it is, nothing where it is not, however few the genes and unlike the types."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import scif
from scif.counts import fit_counts
from scif.counts.statistics.replicates import replicate_dispersion


def expected(kind: str, *, cells: int, genes: int, depth: float, seed: int) -> np.ndarray:
    """Counts without noise: types that share nothing, mixtures of three of them, or the package's own simulation."""
    if kind == "simulated":
        return scif.datasets.simulate_counts(cells, genes, depth=depth, seed=seed).layers["truth"].astype(float)
    rng = np.random.default_rng(seed)
    weights = rng.gamma(1.0, size=(cells, 3)) if kind == "mixtures" else np.eye(3)[rng.integers(0, 3, cells)]
    profiles = rng.gamma(0.3, size=(3, genes)) + 1e-6
    shares = (weights / weights.sum(1, keepdims=True)) @ (profiles / profiles.sum(1, keepdims=True))
    return shares * depth


def drawn(mu: np.ndarray, dispersion: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(100 + seed)
    x = rng.poisson(mu * rng.gamma(1 / dispersion, dispersion, mu.shape) if dispersion else mu)
    x[x.sum(1) == 0, 0] = 1
    return x


SHAPES = [(80, 100, 1e6), (300, 30, 1e4), (300, 100, 1e6), (400, 300, 1000.0)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["types", "mixtures", "simulated"])
def test_nothing_is_taken_off_poisson_counts(kind, shape, seed):
    """What is left is a bound: at most a thousandth or two where mixtures of few deep cells have no replicates."""
    cells, genes, depth = shape
    x = drawn(expected(kind, cells=cells, genes=genes, depth=depth, seed=seed), 0.0, seed)
    assert replicate_dispersion(sparse.csr_matrix(x), rng=np.random.default_rng(0)).technical < 2e-3


@pytest.mark.parametrize("dispersion", [0.1, 0.5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["types", "mixtures", "simulated"])
def test_technical_dispersion_is_found_and_never_exceeded(kind, shape, dispersion):
    cells, genes, depth = shape
    every = []
    for seed in range(4):
        x = drawn(expected(kind, cells=cells, genes=genes, depth=depth, seed=seed), dispersion, seed)
        every.append(replicate_dispersion(sparse.csr_matrix(x), rng=np.random.default_rng(0)).technical)
    assert max(every) < 1.1 * dispersion, every
    assert np.median(every) > 0.4 * dispersion, every


@pytest.mark.parametrize("shape", [(1, 50), (5, 50), (50, 1), (50, 3), (200, 9)])
def test_too_little_says_nothing(shape):
    x = np.random.default_rng(0).poisson(30.0, shape)
    found = replicate_dispersion(sparse.csr_matrix(x), rng=np.random.default_rng(0))
    assert found.technical < 0.01


def test_cells_that_are_the_same_are_no_trouble():
    x = np.tile(np.random.default_rng(0).poisson(30.0, (1, 40)), (50, 1))
    assert replicate_dispersion(sparse.csr_matrix(x), rng=np.random.default_rng(0)).technical == 0.0


@pytest.mark.trains
@pytest.mark.parametrize("dispersion", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kind", ["types", "mixtures", "simulated"])
def test_nb_has_no_more_error_than_the_counts(kind, dispersion):
    mu = expected(kind, cells=100, genes=60, depth=1e5, seed=1)
    x = drawn(mu, dispersion, 1)
    found = fit_counts(x, noise="nb", max_epochs=8).denoise()

    def error(values: np.ndarray) -> float:
        return float(np.abs(values / values.sum(1, keepdims=True) - mu / mu.sum(1, keepdims=True)).mean())

    assert error(found) < 1.03 * error(x), (error(found), error(x))
    if dispersion == 0.5:
        assert error(found) < 0.95 * error(x)
