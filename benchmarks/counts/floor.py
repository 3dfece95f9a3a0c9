"""``python -m benchmarks.counts.floor``: how well the variance of a simulation's components can be kept at all.

Codes or loadings of the simulation are given away, the rest is estimated from the counts, and the spread along the
20 first principal components of the truth is compared with the truth's.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.counts.data import load
from benchmarks.counts.scores.truth import component_variances
from benchmarks.report import markdown
from sklearn.utils.extmath import randomized_svd

#: Standard deviation of log-rates over cells below which a direction is none, relative to the largest.
SMALLEST, STEPS = 1e-3, 15


def floor(counts: sp.csr_matrix, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Variance along each component over the truth's, ``(20,)``, for each thing that is given away."""
    share = truth / truth.sum(axis=1, keepdims=True)
    logs = np.log(np.maximum(share, 1e-30))
    bias = logs.mean(axis=0)
    offset = (logs - bias).mean(axis=1, keepdims=True)
    left, singular, right = randomized_svd(logs - bias - offset, n_components=20, random_state=0)
    kept = singular > SMALLEST * singular[0]
    codes = left[:, kept] * np.sqrt(len(left))
    loadings = singular[kept, None] * right[kept] / np.sqrt(len(left))
    library = np.asarray(counts.sum(axis=1))
    dense = counts.toarray().astype(float)

    fitted = _loadings(dense, library * np.exp(offset), np.c_[np.ones(len(left)), codes])
    modes, uncertain = _codes(dense, library, bias, loadings)
    values, axes = np.linalg.eigh(np.cov(modes.T))
    centred = modes - modes.mean(axis=0)
    stretched = modes.mean(axis=0) + centred @ (axes / np.sqrt(values)) @ axes.T
    draws = np.random.default_rng(0).normal(size=(*modes.shape, 1))
    drawn = modes + (np.linalg.cholesky(uncertain) @ draws)[..., 0]
    rates = {
        "codes": np.exp(fitted + offset),
        "loadings, codes at their mode": np.exp(bias + modes @ loadings),
        "loadings, codes stretched to the true covariance": np.exp(bias + stretched @ loadings),
        "loadings, codes drawn from their posterior": np.exp(bias + drawn @ loadings),
    }
    return {name: component_variances(rate, truth) for name, rate in rates.items()}


def _loadings(counts: np.ndarray, exposure: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Log-rates of a Poisson regression of each gene, with a unit normal prior on the slopes."""
    slopes = np.zeros((design.shape[1], counts.shape[1]))
    slopes[0] = np.log((counts.sum(axis=0) + 0.5) / exposure.sum())
    prior = np.diag([1e-6, *np.ones(design.shape[1] - 1)])
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    for _ in range(STEPS):
        mean = exposure * np.exp(design @ slopes)
        gradient = design.T @ (counts - mean) - prior @ slopes
        information = (mean.T @ pairs).reshape(-1, *prior.shape) + prior
        slopes += np.clip(np.linalg.solve(information, gradient.T[..., None])[..., 0].T, -1, 1)
    return design @ slopes


def _codes(
    counts: np.ndarray, library: np.ndarray, bias: np.ndarray, loadings: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Modes ``(cells, k)`` and covariances of the codes' posteriors, with a unit normal prior."""
    k = len(loadings)
    codes = np.zeros((len(counts), k))
    pairs = (loadings[:, None] * loadings[None]).reshape(k * k, -1)
    for _ in range(STEPS):
        share = np.exp(bias + codes @ loadings)
        share /= share.sum(axis=1, keepdims=True)
        mean = share @ loadings.T
        gradient = (counts - library * share) @ loadings.T - codes
        spread = (share @ pairs.T).reshape(-1, k, k) - mean[:, :, None] * mean[:, None]
        information = library[:, :, None] * spread + np.eye(k)
        codes += np.clip(np.linalg.solve(information, gradient[..., None])[..., 0], -1, 1)
    return codes, np.linalg.inv(information)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.floor", description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["simulated-500", "simulated-2000", "simulated-8000"])
    options = parser.parse_args()
    rows = []
    for name in options.datasets:
        data = load(name, None)
        if data.truth is None:
            parser.error(f"{name} has no truth")
        for given, ratio in floor(data.counts, data.truth).items():
            rows.append({"data set": name, "given": given, "1-9": _range(ratio[:9]), "10-20": _range(ratio[9:])})
    print(markdown(pd.DataFrame(rows), digits=(0, 0, 0, 0)))


def _range(values: np.ndarray) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"


if __name__ == "__main__":
    main()
