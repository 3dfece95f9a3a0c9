"""Finished rows as one layer of an AnnData file, HDF5 or zarr, dense or sparse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from zarr.storage import LocalStore

from scif.model.stream.parts import Parts

__all__ = ["check_group", "link", "local_folder", "write_layer"]

#: Entries (rows x genes) of a chunk of a dense zarr array: 16 MB.
CHUNK = 4_000_000


def write_layer(parts: Parts, into: Any, name: str | None) -> Any:
    """Write all rows as an element in anndata's format; of an HDF5 group ``name`` may be None: nothing leads to it."""
    return _dense(parts, into, name) if parts.threshold is None else _sparse(parts, into, name)


def _dense(parts: Parts, into: Any, name: str | None) -> Any:
    chunks = (max(1, min(CHUNK // max(parts.shape[1], 1), parts.shape[0])), parts.shape[1])
    array = _array(into, name, parts.shape, "float32", chunks)
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for start, values in parts.dense():
        array[start : start + len(values)] = values
    return array


def _sparse(parts: Parts, into: Any, name: str | None) -> Any:
    total, (rows, genes) = parts.stored(), parts.shape
    group = into.create_group(name)
    shape = np.array([rows, genes]) if isinstance(into, h5py.Group) else [rows, genes]
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
    group.attrs["threshold"] = parts.threshold
    data, indices = (_array(group, key, (total,), kind, None) for key, kind in (("data", "f4"), ("indices", "i4")))
    indptr = _array(group, "indptr", (rows + 1,), "int64", None)
    pointers, end = np.zeros(rows + 1, dtype=np.int64), 0
    for start, values in parts.sparse():
        data[end : end + values.nnz], indices[end : end + values.nnz] = values.data, values.indices
        pointers[start + 1 : start + 1 + values.shape[0]] = end + values.indptr[1:]
        end += values.nnz
    indptr[:] = pointers
    return group


def _array(into: Any, name: str | None, shape: tuple[int, ...], dtype: str, chunks: Any) -> Any:
    if isinstance(into, h5py.Group):
        return into.create_dataset(name, shape=shape, dtype=dtype)
    chunks = chunks or (max(1, min(CHUNK, shape[0])),)
    return into.create_array(name, shape=shape, dtype=dtype, chunks=chunks)


def link(parts: Parts, group: Any, layer: str) -> None:
    """Write all rows where nobody sees them, then make them the layer of an AnnData group in one step."""
    if isinstance(group, h5py.Group):
        layers = group.require_group("layers")
        layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
        found = write_layer(parts, layers, None)
        group.file.flush()
        if layer in layers:
            del layers[layer]
        layers[layer] = found
        return
    aside = parts.folder / "layer.zarr"
    apart = zarr.open_group(aside, mode="w", zarr_format=group.metadata.zarr_format)
    write_layer(parts, apart, "layer")
    layers = group.require_group("layers")
    layers.attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    if layer in layers:
        del layers[layer]
    (aside / "layer").rename(local_folder(group) / "layers" / layer)
    if group.metadata.consolidated_metadata is not None:  # readers look there alone
        zarr.consolidate_metadata(group.store, path=group.path)


def local_folder(group: Any) -> Path:
    """Folder of a zarr group.

    Raises
    ------
    ValueError
        If the group is not in a folder of this machine.
    """
    if not isinstance(group.store, LocalStore):
        msg = f"target is in a {type(group.store).__name__}; pass a path, or a group of a zarr folder on this machine."
        raise ValueError(msg)
    return Path(group.store.root) / group.path


def check_group(group: Any, layer: str, *, cells: Any, genes: Any, overwrite: bool) -> None:
    """Raise ``ValueError`` unless a group is of an AnnData with these cells and genes, in this order."""
    from anndata.io import read_elem

    for axis, names in (("obs", cells), ("var", genes)):
        if axis not in group:
            msg = f"target has no {axis}; pass the root group of an AnnData file, or a path to write a new one."
            raise ValueError(msg)
        have = np.asarray(read_elem(group[axis]).index, dtype=str)
        wanted = np.asarray(names, dtype=str)
        if len(have) != len(wanted) or not bool((have == wanted).all()):
            first = next((i for i, pair in enumerate(zip(have, wanted, strict=False)) if pair[0] != pair[1]), None)
            where = f"differs at {first}: {have[first]!r}, not {wanted[first]!r}" if first is not None else "differs"
            msg = (
                f"target has {len(have)} names in {axis} and the data {len(wanted)}, and the order {where}; pass the "
                "file of the cells that are denoised."
            )
            raise ValueError(msg)
    if layer in group.get("layers", {}) and not overwrite:
        msg = f"target has a layer {layer!r} already; choose another layer= or pass overwrite=True."
        raise ValueError(msg)
