"""Molecules that training does not see and is judged by."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from scif.counts.data.dataset import CountDataset

__all__ = ["hold_out"]

#: Most cells with held-out molecules, and most entries (cells x genes) of them.
CELLS, ENTRIES = 2_000, 10_000_000


def hold_out(dataset: CountDataset, share: float, *, rng: np.random.Generator) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Hold molecules out of some cells.

    Parameters
    ----------
    dataset
        All cells.
    share
        Share of the molecules of a cell that is held out, each molecule by chance.
    rng
        Chooses cells and molecules.

    Returns
    -------
    tuple
        Rows of these cells, and the held-out counts, of shape (rows, genes).

    Raises
    ------
    ValueError
        If no molecule is held out of any of them.
    """
    count = int(np.clip(ENTRIES // dataset.num_genes, 100, CELLS))
    rows = np.sort(rng.permutation(len(dataset))[:count])
    x = dataset.counts(rows)
    kept = sparse.csr_matrix(
        (rng.binomial(np.floor(x.data).astype(np.int64), share).astype(np.float32), x.indices, x.indptr), x.shape
    )
    # a cell must keep something to train on
    some = np.asarray((x - kept).sum(1)).ravel() > 0
    kept.data *= np.repeat(some, np.diff(kept.indptr))
    if kept.sum() == 0:
        msg = f"held_out={share} leaves no molecule to validate on; raise it or train with early_stopping=False."
        raise ValueError(msg)
    return rows, kept
