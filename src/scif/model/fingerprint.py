"""A fingerprint of what was registered, by which a change between setup and use is noticed."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

__all__ = ["KEY", "NAMES", "WEIGHT", "check_unchanged", "digest", "fingerprint", "keep_apart", "weight"]

#: Rows that are looked at, in memory and where each costs a read.
ROWS, STORED_ROWS = 16, 4
#: Keys of the registry: fingerprint and weight of counts, digest of the genes' names.
KEY, WEIGHT, NAMES = "fingerprint", "weight", "names"
#: Rows that are weighed at once, and relative difference that the order of summation may make.
CHUNK, ROUNDING = 2048, 1e-11


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


def weight(data: Any) -> float | None:
    """Sum over all counts in memory, each times a fixed factor of its cell and of its gene; None on disk.

    It differs if any count does, or if cells or genes change places, and costs one look at every stored value.

    Parameters
    ----------
    data
        Counts ``(cells, genes)``: array or sparse matrix, or counts on disk.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.eye(3)
    >>> weight(x) == weight(x[::-1])
    False
    """
    if not (isinstance(data, np.ndarray) or sparse.issparse(data)):
        return None
    factor = [np.random.default_rng([k, 0]).uniform(1.0, 2.0, n) for k, n in enumerate(data.shape)]
    axis = int(getattr(data, "format", None) == "csc")
    total = 0.0
    for start in range(0, data.shape[axis], CHUNK):
        near = slice(start, start + CHUNK)
        part = data[:, near].T if axis else data[near]
        total += float(factor[axis][near] @ np.asarray(part.astype(np.float64) @ factor[1 - axis]).ravel())
    return total


def digest(values: Any) -> str:
    """Hash of names or numbers, in their order."""
    return hashlib.blake2b(pd.util.hash_array(np.asarray(values)).tobytes(), digest_size=12).hexdigest()


def check_unchanged(manager: AnnDataManager) -> None:
    """Raise ``ValueError`` if what was registered is not what was set up: counts, genes, batches or size factors."""
    data = {}
    for name, entry in manager.data_registry.items():
        try:
            data[name] = manager.get_from_registry(name)
        except (KeyError, ValueError, AttributeError):
            data[name] = None
        if data[name] is None:
            msg = f"{_where(entry)} is gone, which ICM.setup_anndata registered. Put it back, or set up again."
            raise ValueError(msg)
    state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
    _check_counts(data[REGISTRY_KEYS.X_KEY], state, _where(manager.data_registry[REGISTRY_KEYS.X_KEY]))
    adata = manager.adata
    if NAMES in state and state[NAMES] != digest(np.asarray(adata.var_names, dtype=str)):
        msg = (
            "adata.var_names are no longer what ICM.setup_anndata registered: genes were renamed or reordered since. "
            "Put the names back, or set up and train a new model."
        )
        raise ValueError(msg)
    key = manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY)
    column = key.get("original_key")
    changed = column in adata.obs and not _same_batches(
        adata.obs[column], key["categorical_mapping"], data[REGISTRY_KEYS.BATCH_KEY]
    )
    if REGISTRY_KEYS.SIZE_FACTOR_KEY in data:
        kept = manager.get_state_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY).get(KEY)
        found = data[REGISTRY_KEYS.SIZE_FACTOR_KEY]
        if kept is not None and kept != digest(np.asarray(found, dtype=np.float64).ravel()):
            changed, column = True, manager.data_registry[REGISTRY_KEYS.SIZE_FACTOR_KEY].attr_key
    if changed:
        msg = (
            f"adata.obs[{column!r}] is no longer what ICM.setup_anndata registered. Put it back, or set up and train a "
            "new model."
        )
        raise ValueError(msg)


def _check_counts(data: Any, state: Mapping[str, Any], where: str) -> None:
    kept, before = state.get(KEY), state.get(WEIGHT)
    same = kept is None or kept == fingerprint(data)
    if same and before is not None:
        now = weight(data)
        same = now is None or abs(now - before) <= ROUNDING * abs(before)
    if same:
        return
    msg = (
        f"{where} is no longer what ICM.setup_anndata registered: it was normalised, log-transformed, replaced or "
        "subset since. Keep the counts in a layer before you change X, adata.layers['counts'] = adata.X.copy(), and "
        "set up with layer='counts'; or work on adata.copy(). If the change was meant, set up and train a new model."
    )
    raise ValueError(msg)


def _same_batches(column: pd.Series, names: Any, codes: np.ndarray) -> bool:
    """Whether each cell is in the batch that it was registered in."""
    values = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    known = np.append(pd.Index(names).get_indexer(values.cat.categories), -1)
    if (known[:-1] < 0).any():  # names that a model file turned into text
        place = {str(name): code for code, name in enumerate(names)}
        known = np.array([place.get(str(name), -1) for name in values.cat.categories] + [-1])
    return bool((known[values.cat.codes.to_numpy()] == codes.ravel()).all())


def _where(entry: Any) -> str:
    """Name of what an entry of the data registry points to."""
    if entry.attr_key in (None, "None", ""):
        return f"adata.{entry.attr_name}"
    return f"adata.{entry.attr_name}[{entry.attr_key!r}]"


def keep_apart(adata: AnnData, owners: Mapping[str, AnnData]) -> None:
    """Give a copy of a registered AnnData an identity of its own, so that the original stays set up.

    scvi-tools writes its name of an AnnData into ``uns``, which a copy has, too.

    Parameters
    ----------
    adata
        About to be set up.
    owners
        AnnData that were set up before, by that name.
    """
    borrowed = [
        key
        for key, value in adata.uns.items()
        if isinstance(value, str) and value in owners and owners[value] is not adata
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key in borrowed:
            del adata.uns[key]
