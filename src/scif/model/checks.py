"""What is refused at setup: every bad value is named before anything is changed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scif.counts.data.molecules import LOOKED_AT, unlike_molecules
from scif.counts.data.stored import by_rows

__all__ = ["check_setup", "named"]

#: Rows read at once.
CHUNK = 2048
#: Share of entries that must look like log-transformed counts.
MOSTLY = 0.95


def check_setup(
    adata: Any, *, layer: str | None = None, batch_key: str | None = None, size_factor_key: str | None = None
) -> None:
    """Raise ``ValueError`` unless an AnnData holds counts; warn if they do not look like molecules."""
    if not isinstance(adata, AnnData):
        msg = f"adata is a {type(adata).__name__}; pass an AnnData."
        raise TypeError(msg)
    if not isinstance(adata.obs, pd.DataFrame):
        msg = (
            f"adata.obs is a {type(adata.obs).__name__}, not a data frame; load it with "
            "adata.obs = adata.obs.to_memory(). The counts may stay on disk."
        )
        raise TypeError(msg)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes; both must be at least 1."
        raise ValueError(msg)
    if layer is not None and layer not in adata.layers:
        msg = f"layer={layer!r} is not in adata.layers, which has {named(list(adata.layers))}."
        raise ValueError(msg)
    if layer is None and adata.X is None:
        msg = "adata.X is empty; put the counts there or name their layer."
        raise ValueError(msg)
    duplicated = adata.var_names[adata.var_names.duplicated()].unique()
    if len(duplicated):
        msg = f"gene names are not unique: {named(duplicated)}. Call adata.var_names_make_unique() first."
        raise ValueError(msg)
    _check_batch(adata, batch_key)
    _check_size_factors(adata, size_factor_key)
    _check_counts(adata, layer)


def _check_batch(adata: AnnData, key: str | None) -> None:
    if key is None:
        return
    if key not in adata.obs:
        msg = f"batch_key={key!r} is not in adata.obs, which has {named(adata.obs.columns)}."
        raise ValueError(msg)
    missing = adata.obs[key].isna()
    if missing.any():
        msg = f"adata.obs[{key!r}] is missing for {int(missing.sum())} cells: {named(adata.obs_names[missing])}."
        raise ValueError(msg)


def _check_size_factors(adata: AnnData, key: str | None) -> None:
    if key is None:
        return
    if key not in adata.obs:
        msg = f"size_factor_key={key!r} is not in adata.obs, which has {named(adata.obs.columns)}."
        raise ValueError(msg)
    values = pd.to_numeric(adata.obs[key], errors="coerce").to_numpy(dtype=float)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        msg = (
            f"adata.obs[{key!r}] must be positive and finite, but is {adata.obs[key].to_numpy()[bad][0]} "
            f"for {int(bad.sum())} cells: {named(adata.obs_names[bad])}."
        )
        raise ValueError(msg)


def _check_counts(adata: AnnData, layer: str | None) -> None:
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    data = adata.X if layer is None else adata.layers[layer]
    if not _is_numeric(data):
        msg = f"{where} has dtype {getattr(data, 'dtype', type(data).__name__)}; counts must be numbers."
        raise ValueError(msg)
    fractional, odd = 0, None
    logged: list[sparse.csr_matrix] = []
    for start, x in _chunks(data, adata.n_obs):
        bad = ~(np.isfinite(x.data) & (x.data >= 0))
        if bad.any():
            entry = int(np.flatnonzero(bad)[0])
            row = start + int(np.searchsorted(x.indptr, entry, side="right")) - 1
            msg = (
                f"{where} contains {x.data[entry]} in cell {adata.obs_names[row]!r}, gene "
                f"{adata.var_names[x.indices[entry]]!r}; counts must be finite and not negative."
            )
            raise ValueError(msg)
        empty = np.flatnonzero(np.asarray(x.sum(1)).ravel() == 0)
        if len(empty):
            msg = (
                f"{where} has cells without any counts, among them {named(adata.obs_names[start + empty])}. "
                "Remove them with scanpy.pp.filter_cells(adata, min_counts=1)."
            )
            raise ValueError(msg)
        if start == 0:
            odd = unlike_molecules(x[:LOOKED_AT])
        here = int((x.data != np.round(x.data)).sum())
        fractional += here
        if here and len(logged) < 4:
            logged.append(x[:256])
    if fractional and _looks_logged(logged):
        msg = (
            f"{where} looks log-transformed ({fractional} entries are not whole numbers). scif needs raw counts: "
            "name their layer, or undo the transformation."
        )
        raise ValueError(msg)
    if fractional:
        warnings.warn(
            f"{where} has {fractional} entries that are not whole numbers. They are taken as corrected counts; "
            "normalised values would give wrong noise levels.",
            UserWarning,
            stacklevel=4,
        )
    if odd is not None:
        warnings.warn(f"{where} {odd}", UserWarning, stacklevel=4)


def _is_numeric(data: Any) -> bool:
    dtype = np.dtype(getattr(data, "dtype", object))
    return bool(np.issubdtype(dtype, np.number) or dtype.kind == "b") and not np.issubdtype(dtype, np.complexfloating)


def _chunks(data: Any, num_cells: int) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Rows as sparse matrices, with the number of the first."""
    if getattr(data, "format", None) == "csc" and not sparse.issparse(data):
        warnings.warn(
            "The counts are column-compressed (csc) on disk and are read whole, since cells cannot be read one by one. "
            "Write them as a scipy.sparse.csr_matrix to train from disk.",
            UserWarning,
            stacklevel=5,
        )
    rows = by_rows(data)
    for start in range(0, num_cells, CHUNK):
        x = sparse.csr_matrix(rows[start : min(start + CHUNK, num_cells)])
        if x.has_canonical_format is False:
            x.sum_duplicates()
        yield start, x


def _looks_logged(parts: list[sparse.csr_matrix]) -> bool:
    """Whether undoing a logarithm gives counts up to a factor per cell, or cells of one depth."""
    x = sparse.csr_matrix(sparse.vstack(parts))
    odd = x.data != np.round(x.data)
    if x.data.max() > 40 or odd.mean() < 0.1:
        return False
    starts = x.indptr[:-1][np.diff(x.indptr) > 0]
    for base in (np.e, 2.0, 10.0):
        raw = np.power(base, x.data.astype(np.float64)) - 1.0
        smallest = np.minimum.reduceat(np.where(raw > 0, raw, np.inf), starts)
        ratio = raw / np.repeat(smallest, np.diff(np.append(starts, x.nnz)))
        whole = np.abs(ratio - np.round(ratio)) < 0.02 * np.maximum(1.0, ratio / 10)
        if whole[odd].mean() > MOSTLY:
            return True
        sums = np.add.reduceat(raw, starts)
        if len(sums) > 2 and sums.std() < 0.01 * sums.mean():
            return True
    return False


def named(values: Any, most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = [str(v) for v in values]
    shown = ", ".join(repr(n) for n in names[:most]) or "nothing"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
