"""What a method is asked to do: denoise a part of a data set, with something put aside to score the result by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.data import Dataset

from scif.metrics import permute_genes, split_counts

__all__ = ["KINDS", "Task", "make_task"]

KINDS = ("held-out", "depth", "null", "null-count")
_MIN_CELLS = 3
_DEEP = 10_000  # molecules in the median cell from which a twentieth is still worth denoising


@dataclass(frozen=True)
class Task:
    """Training counts and what is put aside; rows and columns agree everywhere.

    ``held-out`` trains on 90% of the molecules; ``depth`` on 5%, the other 95% being the deep profile; ``null`` on 90%
    with some genes shuffled over the cells, ``null-count`` with their counts shuffled as they are.
    """

    kind: str
    train: sp.csr_matrix
    test: sp.csr_matrix
    labels: np.ndarray | None
    truth: np.ndarray | None
    null_genes: np.ndarray


def make_task(dataset: Dataset, kind: str, *, seed: int) -> Task | None:
    """Split, shuffle and drop genes seen in fewer than three cells; ``None`` where the kind does not apply."""
    counts = dataset.counts
    if kind == "depth" and np.median(np.asarray(counts.sum(axis=1))) < _DEEP:
        return None
    seen = counts.getnnz(axis=0) >= _MIN_CELLS
    split = split_counts(counts[:, seen], 0.05 if kind == "depth" else 0.9, seed=seed)
    train, null_genes = split.train, np.empty(0, dtype=int)
    cells, genes = train.getnnz(axis=1) > 0, train.getnnz(axis=0) > 0
    train = train[cells][:, genes]
    if kind.startswith("null"):
        common = np.flatnonzero(train.getnnz(axis=0) >= 0.1 * train.shape[0])
        rng = np.random.default_rng(seed)
        null_genes = np.sort(rng.choice(common, max(common.size // 10, 1), replace=False))
        train = permute_genes(train, null_genes, kind="count" if kind == "null-count" else "rate", seed=rng)
    return Task(
        kind,
        train,
        split.test[cells][:, genes],
        None if dataset.labels is None else dataset.labels[cells],
        None if dataset.truth is None else dataset.truth[cells][:, seen][:, genes],
        null_genes,
    )
