"""The cells that the tasks are judged on: counts to denoise, and everything that is known of their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.data import load

from scif.datasets import simulate_counts
from scif.metrics import permute_genes, split_counts

__all__ = ["CASES", "Case", "make_case"]

_SHUFFLED, _COMMON = 0.1, 0.1
"""Share of the common genes that is shuffled over the cells, and of the cells that makes a gene common."""
_RARE, _MARKERS, _MARKER_MOLECULES = 12, 20, 60.0
"""Cells of the rare kind among 1,200, its markers, and their molecules in one of its cells."""
_PURE = 30
"""Cells of each pure line beside the mixtures."""


@dataclass(frozen=True)
class Case:
    """Counts, cells x genes, and where known: labels, deep or expected counts, shuffled genes, time, mixtures, markers.

    ``deep`` has other molecules of the same cells, or their expected counts (``expected``). Columns of ``null`` were
    shuffled over the cells in the counts and hold nothing in ``deep``.
    """

    counts: sp.csr_matrix
    labels: np.ndarray | None = None
    deep: sp.csr_matrix | np.ndarray | None = None
    expected: bool = False
    null: np.ndarray | None = None
    time: np.ndarray | None = None
    lineages: np.ndarray | None = None
    proportions: np.ndarray | None = None
    rare: np.ndarray | None = None
    markers: np.ndarray | None = None


def make_case(name: str, *, data: Path | None, seed: int) -> Case:
    """Draw the case with this seed: simulation, thinning, shuffling and mixing all follow it."""
    return CASES[name](data, seed)


def _thinned(data: Path | None, seed: int) -> Case:
    """CEL-seq2 cells of three lines, a tenth of their molecules; the others are the deep profile."""
    whole = load("sc_celseq2-part-274x6000", data)
    split = split_counts(whole.counts, 0.1, seed=seed)
    return _shuffled(split.train, whole.labels, split.test, seed=seed)


def _simulated(data: Path | None, seed: int) -> Case:
    """Our own simulator: six types, three of them a lineage, 1,000 molecules a cell."""
    adata = simulate_counts(900, 1200, depth=1000, seed=seed)
    case = _shuffled(adata.X, adata.obs["cell_type"].astype(str).to_numpy(), adata.layers["truth"], seed=seed)
    return Case(case.counts, case.labels, case.deep, True, case.null)


def _lineage(data: Path | None, seed: int) -> Case:
    """The three types of the simulator that are one lineage, a stem and two fates, 500 molecules a cell."""
    adata = simulate_counts(700, 1200, n_types=3, depth=500, seed=seed)
    adata = adata[:, adata.X.getnnz(axis=0) >= 3]
    time = adata.obs["pseudotime"].to_numpy()
    return Case(
        sp.csr_matrix(adata.X), None, np.asarray(adata.layers["truth"]), True, time=time, lineages=_fates(adata, time)
    )


def _fates(adata: object, time: np.ndarray) -> np.ndarray:
    """The stem is of neither fate alone: its cells count as a lineage of their own."""
    types = adata.obs["cell_type"].astype(str).to_numpy()  # type: ignore[attr-defined]
    return np.where(time < 0.5, "stem", types)


def _rare_kind(data: Path | None, seed: int) -> Case:
    """One cell in a hundred has twenty markers that no other cell has."""
    adata = simulate_counts(1200, 1000, depth=1000, seed=seed)
    rng = np.random.default_rng(seed)
    rare = np.sort(rng.choice(adata.n_obs, _RARE, replace=False))
    own = np.zeros((adata.n_obs, _MARKERS), dtype=np.int32)
    own[rare] = rng.poisson(_MARKER_MOLECULES * rng.dirichlet(np.full(_MARKERS, 5.0), size=_RARE))
    counts = sp.csr_matrix(sp.hstack([adata.X, own]))
    seen = np.flatnonzero(counts.getnnz(axis=0) >= 3)
    markers = np.flatnonzero(seen >= adata.n_vars)
    return Case(counts[:, seen], rare=rare, markers=markers)


def _mixtures(data: Path | None, seed: int) -> Case:
    """Molecules of the three CEL-seq2 lines mixed in known proportions, 4,000 a cell, with cells of each pure line."""
    whole = load("sc_celseq2-part-274x3000", data)
    assert whole.labels is not None
    rng = np.random.default_rng(seed)
    names = np.unique(whole.labels)
    pure = np.stack([np.asarray(whole.counts[whole.labels == name].sum(axis=0)).ravel() for name in names])
    pure = pure / pure.sum(axis=1, keepdims=True)
    shares = np.concatenate([np.repeat(np.eye(len(names)), _PURE, axis=0), rng.dirichlet(np.ones(len(names)), 200)])
    library = rng.lognormal(np.log(4000), 0.4, len(shares)).astype(int)
    rates = (shares @ pure) * rng.gamma(5.0, 0.2, (len(shares), pure.shape[1]))  # genes vary on their own
    counts = np.stack([rng.multinomial(n, rate / rate.sum()) for n, rate in zip(library, rates, strict=True)])
    seen = (counts > 0).sum(axis=0) >= 3
    return Case(sp.csr_matrix(counts[:, seen]), proportions=shares)


def _real(name: str) -> Callable[[Path | None, int], Case]:
    """Labelled cells as they are; the seed draws nine tenths of the molecules."""

    def make(data: Path | None, seed: int) -> Case:
        whole = load(name, data)
        counts = split_counts(whole.counts, 0.9, seed=seed).train
        cells, genes = counts.getnnz(axis=1) > 0, counts.getnnz(axis=0) >= 3
        return Case(counts[cells][:, genes], None if whole.labels is None else whole.labels[cells])

    return make


def _scdesign(data: Path | None, seed: int) -> Case:
    """Cells of scdesigner, a simulator that we did not write: a tenth of their molecules, as of the CEL-seq2 cells."""
    from benchmarks.downstream.scdesign import simulate

    counts, labels = simulate(data, seed=seed)
    split = split_counts(counts, 0.1, seed=seed)
    return _shuffled(split.train, labels, split.test, seed=seed)


def _shuffled(counts: sp.csr_matrix, labels: np.ndarray | None, deep: object, *, seed: int) -> Case:
    """Genes seen in three cells or more; a tenth of the common ones shuffled by rate in what is denoised."""
    seen = np.flatnonzero(sp.csr_matrix(counts).getnnz(axis=0) >= 3)
    counts = sp.csr_matrix(counts)[:, seen]
    common = np.flatnonzero(counts.getnnz(axis=0) >= _COMMON * counts.shape[0])
    rng = np.random.default_rng([seed, 1])
    null = np.sort(rng.choice(common, max(int(_SHUFFLED * common.size), 1), replace=False))
    return Case(permute_genes(counts, null, seed=rng), labels, deep[:, seen], False, null)  # type: ignore[index]


CASES: dict[str, Callable[[Path | None, int], Case]] = {
    "celseq2-tenth": _thinned,
    "simulated": _simulated,
    "scdesign": _scdesign,
    "lineage": _lineage,
    "rare": _rare_kind,
    "mixtures": _mixtures,
    "pbmc68k": _real("pbmc68k"),
    "celseq2": _real("sc_celseq2-part-274x6000"),
    "bladder": _real("mouse_bladder_cell_select_2100-part-700x2000"),
    "paul15": _real("paul15-part-700x2000"),
}
