"""Real counts that need no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["pbmc68k_counts"]


def pbmc68k_counts() -> AnnData:
    """Molecule counts of 700 human blood cells and 765 genes, with ten cell types.

    scanpy carries a reduced copy of 68,000 peripheral blood mononuclear cells :cite:p:`zheng2017massively` inside its
    wheel, as ``log1p`` of counts scaled to 10,000 per cell. Inverting both steps gives the counts back.

    Returns
    -------
    Counts in ``X`` (int32, CSR), cell types in ``obs["bulk_labels"]`` and the total count of each cell over *all*
    genes of the original experiment in ``obs["n_counts"]``. No network is needed.

    Raises
    ------
    ValueError
        If a recovered value is further than 0.2 from a whole number, as it would be if the installed scanpy
        carried other data.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> adata = pbmc68k_counts()
    >>> adata.shape, int(adata.X.max())
    ((700, 765), 259)
    """
    import scanpy as sc
    from anndata import AnnData

    source = sc.datasets.pbmc68k_reduced()
    counts = sparse.csr_matrix(source.raw.X, dtype=np.float64)
    scale = source.obs["n_counts"].to_numpy(np.float64) / 1e4
    counts.data = np.expm1(counts.data) * np.repeat(scale, np.diff(counts.indptr))
    error = float(np.abs(counts.data - np.rint(counts.data)).max())
    if error > 0.2:
        msg = (
            f"values recovered from scanpy's pbmc68k_reduced are up to {error:.2f} away from whole numbers; "
            "this version of scanpy has other data than expected; install scanpy 1.11."
        )
        raise ValueError(msg)
    counts.data = np.rint(counts.data)
    counts.eliminate_zeros()
    counts.sort_indices()
    obs = source.obs[["bulk_labels", "n_counts"]].copy()
    return AnnData(counts.astype(np.int32), obs=obs, var=source.raw.var[[]].copy())
