"""A table of held-out-molecule scores for any number of denoisers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics._matrix import as_counts
from scif.metrics._poisson import poisson_nll
from scif.metrics._split import split_counts

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["held_out_scores"]


def held_out_scores(
    adata: AnnData | Any,
    methods: Mapping[str, Callable[[AnnData], Any]],
    *,
    layer: str | None = None,
    fraction: float = 0.9,
    min_cells: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Denoise a part of the molecules by several methods and score each on the molecules it did not see.

    Genes seen in fewer than ``min_cells`` cells, and cells and genes that have no molecule left for training, are
    dropped first. See :func:`split_counts` for the split and :func:`poisson_nll` for the score.

    Parameters
    ----------
    adata
        AnnData with counts, or a matrix of counts, cells x genes.
    methods
        Denoisers by name. Each is called with an AnnData whose ``X`` holds the training counts (CSR) and returns
        expected counts, cells x genes, at the depth of these training counts.
    layer
        Layer that holds the counts; ``X`` if not given.
    fraction
        Expected share of the molecules used for training.
    min_cells
        Genes have to be seen in at least this many cells.
    seed
        Seed of the split.

    Returns
    -------
    One row per method: ``poisson_nll`` (lower is better) and ``seconds`` of wall time.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import held_out_scores, pooled_profile
    >>> methods = {"none": lambda a: a.X, "pooled": lambda a: pooled_profile(a.X)}
    >>> held_out_scores(pbmc68k_counts(), methods)["poisson_nll"].round(4).to_dict()
    {'none': 0.3792, 'pooled': 0.2188}
    """
    import pandas as pd
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        adata = AnnData(as_counts(adata))
    counts = as_counts(adata.X if layer is None else adata.layers[layer], name=layer or "X")
    seen = counts.getnnz(axis=0) >= min_cells
    split = split_counts(counts[:, seen], fraction, seed=seed)
    cells, genes = (split.train.getnnz(axis=axis) > 0 for axis in (1, 0))
    train, test = split.train[cells][:, genes], split.test[cells][:, genes]
    scale = test.sum() / train.sum()
    obs, var = adata.obs.loc[cells], adata.var.iloc[np.flatnonzero(seen)[genes]]
    rows = {}
    for name, denoise in methods.items():
        begin = time.perf_counter()
        prediction = denoise(AnnData(train.astype(np.float32), obs=obs.copy(), var=var.copy()))
        seconds = time.perf_counter() - begin
        rows[name] = {"poisson_nll": poisson_nll(prediction, test, scale=scale), "seconds": seconds}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
