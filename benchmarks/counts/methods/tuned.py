"""Any peer with the inner split that ours has: settings and a share of the pooled profile by held-out molecules.

A tenth of the training molecules is held out once more. Each combination of settings is fitted to the rest, mixed with
several shares of the pooled profile and scored by the Poisson loss of what was held out; the best one is fitted to all
training counts. With ``residual`` the gene-specific gamma residual of ``svd_residual`` follows: the step that our model
takes after its network, on top of the peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library
from benchmarks.counts.methods.svd_residual import fit_alpha

from scif.metrics import CountSplit, pooled_profile, split_counts

__all__ = ["MIXES", "Chosen", "choose", "fit"]

MIXES = (1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of the pooled profile; never none, so that a gene that was seen anywhere has a mean above zero."""
_RATE = 0.9


@dataclass(frozen=True)
class Chosen:
    """The settings and the share of least inner loss, and that fit's expected counts of the inner training part."""

    options: dict[str, Any]
    mix: float
    expected: np.ndarray


def fit(
    counts: sp.csr_matrix,
    *,
    seed: int,
    peer: str,
    grid: Mapping[str, Sequence[Any]] | None = None,
    options: Mapping[str, Any] | None = None,
    residual: bool = False,
) -> Callable[[], np.ndarray]:
    """Choose on an inner split among all combinations of ``grid``, with ``options`` as they are; fit to all counts."""
    fit_peer = import_module(f"benchmarks.counts.methods.{peer}").fit
    inner = split_counts(counts, _RATE, seed=10_000 + seed)
    names, values = list(grid or {}), list((grid or {}).values())
    candidates = [dict(options or {}) | dict(zip(names, choice, strict=True)) for choice in product(*values)]
    chosen = choose(inner, lambda x, **kept: fit_peer(x, seed=seed, **kept)(), candidates)
    alpha = fit_alpha(chosen.expected, inner.train, inner.test, inner.scale) if residual else None
    denoise_peer = fit_peer(counts, seed=seed, **chosen.options)

    def denoise() -> np.ndarray:
        library = library_size(counts)
        mean = _mixed(to_library(denoise_peer(), library), pooled_profile(counts), chosen.mix)
        if alpha is None:
            return mean
        return to_library(mean * ((counts.toarray() + alpha) / (mean + alpha)), library)

    return denoise


def choose(
    inner: CountSplit, expected_of: Callable[..., np.ndarray], candidates: Sequence[Mapping[str, Any]]
) -> Chosen:
    """The candidate and share of least Poisson loss on the held-out part; all are compared at the library size."""
    library, pooled = library_size(inner.train), pooled_profile(inner.train)
    test = inner.test.tocoo()
    pooled_there = np.asarray(pooled)[test.row, test.col]
    best: tuple[float, Chosen] | None = None
    for options in candidates:
        expected = to_library(np.asarray(expected_of(inner.train, **options), dtype=np.float32), library)
        there = expected[test.row, test.col]
        for mix in MIXES:
            # Totals are the libraries whatever the candidate: the loss differs in the logarithm alone.
            mean = inner.scale * ((1.0 - mix) * there + mix * pooled_there)
            loss = -float(np.dot(test.data, np.log(mean + 1e-6)))
            if best is None or loss < best[0]:
                best = (loss, Chosen(dict(options), mix, _mixed(expected, pooled, mix)))
    assert best is not None
    return best[1]


def _mixed(expected: np.ndarray, pooled: np.ndarray, mix: float) -> np.ndarray:
    return ((1.0 - mix) * expected + mix * np.asarray(pooled)).astype(np.float32)
