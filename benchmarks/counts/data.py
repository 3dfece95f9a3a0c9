"""The data sets: real counts bundled or in a directory, and simulated counts with known expectation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scif.datasets import pbmc68k_counts, simulate_counts

__all__ = ["Dataset", "available", "load"]

_LABELS = ("cell_type", "celltype", "cell_line_demuxlet", "bulk_labels", "paul15_clusters", "labels", "label")
_SIMULATED = re.compile(r"simulated-(\d+)(?:-(\d+)x(\d+))?")
_SIMULATED_DEPTHS = (500, 2000, 8000)
_PART = re.compile(r"(.+)-part-(\d+)x(\d+)")
_LARGE = 50_000_000  # entries above which no dense truth is made


@dataclass(frozen=True)
class Dataset:
    """Counts ``(cells, genes)``, and where known a label per cell and the expected counts they were drawn from."""

    name: str
    counts: sp.csr_matrix
    labels: np.ndarray | None = None
    truth: np.ndarray | None = None


def available(directory: Path | None) -> dict[str, Callable[[], Dataset]]:
    """Loaders by name: the bundled set, simulated sets at three depths, and each count file of a directory."""
    loaders: dict[str, Callable[[], Dataset]] = {"pbmc68k": partial(_bundled, "pbmc68k")}
    loaders |= {f"simulated-{depth}": partial(_simulated, f"simulated-{depth}") for depth in _SIMULATED_DEPTHS}
    for path in sorted(directory.iterdir()) if directory else []:
        for suffix, reader in _READERS.items():
            if path.name.endswith(suffix):
                name = path.name.removesuffix(suffix)
                loaders[name] = partial(reader, name, path)
    return loaders


def load(name: str, directory: Path | None) -> Dataset:
    """Load by name.

    ``simulated-<depth>-<cells>x<genes>`` simulates a set of any size; ``<name>-part-<cells>x<genes>`` draws that many
    cells of a set at random (seed 0) and keeps its most abundant genes.
    """
    loaders = available(directory)
    if name in loaders:
        return loaders[name]()
    if _SIMULATED.fullmatch(name):
        return _simulated(name)
    if part := _PART.fullmatch(name):
        return _part(name, load(part[1], directory), cells=int(part[2]), genes=int(part[3]))
    msg = f"no data set {name!r}; there are {', '.join(loaders)}, and simulated-<depth>-<cells>x<genes>."
    raise ValueError(msg)


def _bundled(name: str) -> Dataset:
    return _from_anndata(name, pbmc68k_counts())


def _simulated(name: str) -> Dataset:
    match = _SIMULATED.fullmatch(name)
    assert match is not None
    depth, cells, genes = (int(number) if number else 2000 for number in match.groups())
    large = cells * genes > _LARGE
    adata = simulate_counts(cells, genes, depth=depth, truth=not large, seed=0)
    found = _from_anndata(name, adata)
    return Dataset(name, found.counts, found.labels, None if large else np.asarray(adata.layers["truth"]))


def _part(name: str, whole: Dataset, *, cells: int, genes: int) -> Dataset:
    rows = np.sort(np.random.default_rng(0).permutation(whole.counts.shape[0])[:cells])
    abundance = np.asarray(whole.counts.sum(axis=0)).ravel()
    columns = np.sort(np.argsort(-abundance, kind="stable")[:genes])
    return Dataset(
        name,
        whole.counts[rows][:, columns],
        None if whole.labels is None else whole.labels[rows],
        None if whole.truth is None else whole.truth[np.ix_(rows, columns)],
    )


def _from_anndata(name: str, adata: ad.AnnData) -> Dataset:
    counts = adata.layers["counts"] if "counts" in adata.layers else adata.X
    return Dataset(name, sp.csr_matrix(counts), _labels(adata.obs))


def _labels(table: pd.DataFrame) -> np.ndarray | None:
    column = next((column for column in _LABELS if column in table), None)
    return None if column is None else table[column].astype(str).to_numpy()


def _read_h5ad(name: str, path: Path) -> Dataset:
    return _from_anndata(name, ad.read_h5ad(path))


def _read_h5(name: str, path: Path) -> Dataset:
    """Counts in ``X`` (cells x genes) and labels in ``Y``, if it is there."""
    with h5py.File(path) as file:
        labels = np.asarray(file["Y"]).astype(str) if "Y" in file else None
        return Dataset(name, sp.csr_matrix(np.asarray(file["X"])), labels)


def _read_csv(name: str, path: Path) -> Dataset:
    """Genes x cells, with a table of cells beside it."""
    table = pd.read_csv(path, index_col=0)
    beside = path.with_name(f"{name}.metadata.csv.gz")
    labels = _labels(pd.read_csv(beside, index_col=0).reindex(table.columns)) if beside.exists() else None
    return Dataset(name, sp.csr_matrix(table.to_numpy().T), labels)


_READERS = {".h5ad": _read_h5ad, ".h5": _read_h5, ".count.csv.gz": _read_csv}
