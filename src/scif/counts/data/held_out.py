"""Molecules that training does not see and is judged by."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from scif.counts.config import NetworkConfig
from scif.counts.data.dataset import CountDataset, HeldOut

__all__ = ["hold_out"]


def hold_out(
    dataset: CountDataset, share: float, *, rng: np.random.Generator, config: NetworkConfig | None = None
) -> HeldOut | None:
    """Hold molecules out of some cells.

    Parameters
    ----------
    dataset
        All cells.
    share
        Share of the molecules of a cell that is held out, each molecule by chance.
    rng
        Chooses cells and molecules.
    config
        Most cells and entries.

    Returns
    -------
    HeldOut or None
        These cells and their held-out molecules; None if the counts are so shallow that there are none.
    """
    config = NetworkConfig() if config is None else config
    count = int(np.clip(config.held_out_entries // dataset.num_genes, 100, config.held_out_cells))
    rows = np.sort(rng.permutation(len(dataset))[:count])
    x = dataset.counts(rows)
    kept = sparse.csr_matrix(
        (rng.binomial(np.floor(x.data).astype(np.int64), share).astype(np.float32), x.indices, x.indptr), x.shape
    )
    # a cell must keep something to train on
    some = np.asarray((x - kept).sum(1)).ravel() > 0
    kept.data *= np.repeat(some, np.diff(kept.indptr))
    return None if kept.sum() == 0 else HeldOut(rows, kept)
