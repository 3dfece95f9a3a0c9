"""Transformed values are refused by name, whatever the depth; counts are accepted, whatever made them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

import scif
from scif.counts.data.checks import check_counts

rng = np.random.default_rng(0)


def counts(cells: int = 200, genes: int = 300, depth: float = 2000.0, seed: int = 3) -> np.ndarray:
    x = scif.datasets.simulate_counts(cells, genes, depth=depth, seed=seed, truth=False).X.toarray().astype(float)
    return x[x.sum(1) > 0]


def normalised(x: np.ndarray, to: float) -> np.ndarray:
    return x / x.sum(1, keepdims=True) * to


def corrected(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Counts less an ambient share that differs by gene and cell, as SoupX and DecontX give."""
    return x * (1.0 - 0.3 * np.random.default_rng(seed).random(x.shape))


def tpm(x: np.ndarray) -> np.ndarray:
    return normalised(x / np.random.default_rng(1).uniform(0.3, 8.0, x.shape[1]), 1e6)


def z_scores(x: np.ndarray) -> np.ndarray:
    y = np.log1p(normalised(x, 1e4))
    return ((y - y.mean(0)) / y.std(0).clip(1e-3)).clip(0, 10)


TRANSFORMED = {
    "square roots": (np.sqrt, "square-root"),
    "square roots of counts per 10,000": (lambda x: np.sqrt(normalised(x, 1e4)), "square-root"),
    "log1p": (np.log1p, "log-transformed"),
    "log10(x + 1)": (lambda x: np.log10(x + 1), "log-transformed"),
    "log1p of counts per 10,000": (lambda x: np.log1p(normalised(x, 1e4)), "log-transformed"),
    "the same of some genes": (lambda x: np.log1p(normalised(x, 1e4))[:, ::3], "log-transformed"),
    "the same with 3 decimals": (lambda x: np.round(np.log1p(normalised(x, 1e4)), 3), "log-transformed"),
    "log2(TPM + 1)": (lambda x: np.log2(tpm(x) + 1), "log-transformed"),
    "log1p of fractional counts": (lambda x: np.log1p(corrected(x)), "transformed"),
    "rounded log1p": (lambda x: np.round(np.log1p(x)), "rounded"),
    "rounded log1p of counts per 10,000": (lambda x: np.round(np.log1p(normalised(x, 1e4))), "rounded"),
    "rounded log2(TPM + 1)": (lambda x: np.round(np.log2(tpm(x) + 1)), "rounded"),
    "counts per 10,000": (lambda x: normalised(x, 1e4), "looks normalised"),
    "counts per million": (lambda x: normalised(x, 1e6), "looks normalised"),
    "corrected counts per 10,000": (lambda x: normalised(corrected(x), 1e4), "adds up to 10000"),
    "shares": (lambda x: normalised(x, 1.0), "looks normalised"),
    "counts per 10,000 of some genes": (lambda x: normalised(x, 1e4)[:, ::3], "multiples of its smallest"),
    "rounded counts per million": (lambda x: np.round(normalised(x, 1e6)), "normalised and rounded"),
    "z-scores clipped at zero": (z_scores, "z-scores"),
    "rounded square roots": (lambda x: np.round(np.sqrt(x)), "rounded roots"),
    "Anscombe's": (lambda x: 2 * np.sqrt(x + 3 / 8), "Anscombe's"),
    "Freeman and Tukey's": (lambda x: np.sqrt(x) + np.sqrt(x + 1) - 1, "Tukey's"),
    "inverse hyperbolic sines": (np.arcsinh, "transformed"),
    "rounded TPM": (lambda x: np.round(tpm(x)), r"about 1e\+06"),
    "shares of a gene's largest": (lambda x: x / x.max(0).clip(1), "none is above 1"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [500.0, 3000.0, 100_000.0])
@pytest.mark.parametrize("kind", TRANSFORMED)
def test_transformed_values_are_refused_by_name(kind, depth, dtype):
    change, said = TRANSFORMED[kind]
    x = change(counts(depth=depth)).astype(dtype)
    x = x[x.sum(1) > 0]
    with pytest.raises(ValueError, match=said):
        check_counts(sparse.csr_matrix(x))


def cellbender(x: np.ndarray) -> np.ndarray:
    """Less whole ambient molecules; every cell keeps some."""
    kept = np.maximum(x - np.random.default_rng(2).poisson(0.1, x.shape), 0)
    kept[np.arange(len(x)), x.argmax(1)] += 1
    return kept


def reads(x: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(6)
    return draw.poisson(15.0 * x * draw.gamma(2.0, 0.5, x.shape)) + (x > 0)


def downsampled(x: np.ndarray, to: int) -> np.ndarray:
    draw = np.random.default_rng(5)
    return np.stack([draw.multivariate_hypergeometric(row.astype(int), min(to, int(row.sum()))) for row in x])


ACCEPTED = {
    "counts": lambda x: x,
    "corrected": corrected,
    "corrected to one decimal": lambda x: np.round(corrected(x), 1),
    "split between two genes": lambda x: x / 2 + np.roll(x, 1, 1) / 2,
    "CellBender": cellbender,
    "one gene less, some fractional": lambda x: np.where(np.random.default_rng(4).random(x.shape) < 0.05, 0.7 * x, x),
    "of one sum": lambda x: downsampled(x, int(x.sum(1).min())),
    "few genes": lambda x: x[:, np.argsort(-x.sum(0))[:5]] + 1,
    "one gene": lambda x: x[:, [x.sum(0).argmax()]] + 1,
    "one cell": lambda x: x[:1],
    "two cells": lambda x: x[:2],
    "one fractional cell": lambda x: corrected(x[:1]),
    "reads": reads,
    "twice": lambda x: 2 * x,
    "the same cells twice": lambda x: np.concatenate([x, x]),
    "downsampled to a power of ten, a few genes less": lambda x: downsampled(x, 100)[:, 3:],
}  # fmt: skip


@pytest.mark.parametrize("depth", [100.0, 500.0, 3000.0, 100_000.0])
@pytest.mark.parametrize("kind", ACCEPTED)
def test_counts_are_accepted(kind, depth):
    x = ACCEPTED[kind](counts(depth=depth))
    x = x[x.sum(1) > 0]
    remarks = check_counts(sparse.csr_matrix(x)).remarks
    assert any("not whole" in r for r in remarks) == bool((x != np.round(x)).any())


def test_multiples_are_warned_of():
    x = counts()
    assert any("multiples of 10" in r for r in check_counts(10 * x).remarks)
    assert not any("multiples" in r for r in check_counts(x).remarks)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(1, 5), (2, 2), (3, 1), (3, 30), (10, 10), (30, 4), (400, 12)])
@pytest.mark.parametrize("mean", [0.3, 3.0, 300.0, 1e6])
def test_tiny_counts_are_accepted(shape, mean, seed):
    """Replicates without any biology vary least of all."""
    x = np.random.default_rng(seed).poisson(mean, shape) + np.eye(*shape, dtype=int)
    x[x.sum(1) == 0, 0] = 1
    check_counts(x)
    check_counts(
        np.random.default_rng(seed).multinomial(max(int(mean * shape[1]), 1), np.full(shape[1], 1 / shape[1]), shape[0])
    )


def test_real_counts_are_accepted():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        scif.model.ICM.setup_anndata(scif.datasets.pbmc68k_counts())


def test_large_counts_are_warned_of_and_larger_ones_refused():
    x = counts(20, 10)
    x[3, 4] = 2.0**24 + 1
    assert any("2**24" in r for r in check_counts(x).remarks)
    x[3, 4] = 2.0**54
    with pytest.raises(ValueError, match=r"cell 3, gene 4.*2\*\*53"):
        check_counts(x)


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_damaged_sparse_matrix_is_refused(layout):
    x = layout(counts(20, 10))
    x.indices = x.indices.copy()
    x.indices[7] = 1000
    with pytest.raises(ValueError, match=r"damaged sparse matrix"):
        check_counts(x)
