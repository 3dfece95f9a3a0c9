"""A fingerprint of registered counts, by which a change between setup and use is noticed."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

__all__ = ["KEY", "check_unchanged", "fingerprint", "keep_apart"]

#: Rows that are looked at, in memory and where each costs a read; key of the registry.
ROWS, STORED_ROWS, KEY = 16, 4, "fingerprint"


def fingerprint(data: Any) -> str:
    """Hash of the shape and of the values of a few evenly spaced rows, whatever layout and type hold them.

    Parameters
    ----------
    data
        Counts ``(cells, genes)``: array, sparse matrix, or counts on disk.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> x = np.eye(3)
    >>> fingerprint(x) == fingerprint(sparse.csc_matrix(x, dtype=np.float32)), fingerprint(x) == fingerprint(2 * x)
    (True, False)
    """
    num_cells, num_genes = (int(n) for n in data.shape)
    found = hashlib.blake2b(f"{num_cells} {num_genes}".encode(), digest_size=12)
    in_memory = isinstance(data, np.ndarray) or sparse.issparse(data)
    if not in_memory and getattr(data, "format", None) == "csc":
        return found.hexdigest()  # rows of it cannot be read without the rest
    rows = np.unique(np.linspace(0, num_cells - 1, ROWS if in_memory else STORED_ROWS).astype(int))
    parts = [data[rows]] if in_memory else [data[int(row) : int(row) + 1] for row in rows]
    for part in parts:
        values = part.compute() if hasattr(part, "compute") else part
        x = sparse.csr_matrix(values, dtype=np.float64, copy=True)
        x.sum_duplicates()
        x.eliminate_zeros()
        for array in (x.indptr, x.indices, x.data):
            found.update(np.ascontiguousarray(array.astype(np.float64)).tobytes())
    return found.hexdigest()


def check_unchanged(manager: AnnDataManager) -> None:
    """Raise ``ValueError`` if registered counts are not those that were set up."""
    state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
    kept = state.get(KEY)
    if kept is None or kept == fingerprint(manager.get_from_registry(REGISTRY_KEYS.X_KEY)):
        return
    entry = manager.data_registry[REGISTRY_KEYS.X_KEY]
    where = "adata.X" if entry.attr_key in (None, "None", "") else f"adata.{entry.attr_name}[{entry.attr_key!r}]"
    msg = (
        f"{where} is no longer what ICM.setup_anndata registered: it was normalised, log-transformed, replaced or "
        "subset since. Keep the counts in a layer before you change X, adata.layers['counts'] = adata.X.copy(), and "
        "set up with layer='counts'; or work on adata.copy(). If the change was meant, set up and train a new model."
    )
    raise ValueError(msg)


def keep_apart(adata: AnnData, managers: dict[str, AnnDataManager]) -> None:
    """Give a copy of a registered AnnData an identity of its own, so that the original stays set up.

    scvi-tools writes its name of an AnnData into ``uns``, which a copy has, too.

    Parameters
    ----------
    adata
        About to be set up.
    managers
        Those of AnnData that were set up before, by that name.
    """
    name = adata.uns.get("_scvi_uuid")
    known = None if name is None else managers.get(name)
    if known is not None and known.adata is not adata:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del adata.uns["_scvi_uuid"]
