"""The denoised matrix in whatever a denoiser returned or wrote into its AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["denoised_matrix"]


def denoised_matrix(returned: Any, adata: AnnData, before: AnnData) -> Any:
    """Values, cells x genes, in the order of ``before``.

    Parameters
    ----------
    returned
        What the denoiser returned: an array, sparse matrix, data frame, AnnData or nothing.
    adata
        The AnnData that the denoiser was called with, as it is now.
    before
        The same before the call.

    Raises
    ------
    ValueError
        If nothing was returned and nothing changed, two layers were added, or names do not fit.
    """
    from anndata import AnnData

    if returned is None:
        returned = adata
    if isinstance(returned, AnnData):
        _check_names(returned.obs_names, returned.var_names, before)
        added = [name for name in returned.layers if name is not None and name not in before.layers]
        if len(added) == 1:
            return returned.layers[added[0]]
        if len(added) > 1:
            msg = f"the method added the layers {added}; return the one with the denoised values."
            raise ValueError(msg)
        if returned is adata and _same(returned.X, before.X):
            msg = "the method returned nothing and changed neither X nor the layers; return the denoised values."
            raise ValueError(msg)
        return returned.X
    if hasattr(returned, "columns") and hasattr(returned, "to_numpy"):
        _check_names(returned.index, returned.columns, before)
        return returned.to_numpy()
    return returned


def _check_names(cells: Any, genes: Any, before: AnnData) -> None:
    for kind, found, wanted in (("cells", cells, before.obs_names), ("genes", genes, before.var_names)):
        if len(found) != len(wanted):
            msg = f"the method returned {len(found)} {kind} of {len(wanted)}; return all of them in the given order."
            raise ValueError(msg)
        if list(found) != list(wanted):
            msg = f"the {kind} of the returned values are in another order or have other names; keep the given order."
            raise ValueError(msg)


def _same(a: Any, b: Any) -> bool:
    if sparse.issparse(a) != sparse.issparse(b) or a.shape != b.shape:
        return False
    return (a != b).nnz == 0 if sparse.issparse(a) else np.array_equal(a, b)
