"""Counts of many cells, drawn and written some at a time."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem
from scipy import sparse

__all__ = ["write_counts"]

#: Cells that are written at a time, and that have dense compositions in memory.
WRITTEN, DRAWN = 16_384, 1024
#: Types of cells, and directions in which cells of all types vary.
TYPES, WITHIN = 20, 8


def write_counts(path: Path, cells: int, genes: int, *, depth: float, seed: int) -> None:
    """Write Poisson counts of cells of several types as an ``.h5ad`` file, in bounded memory.

    Parameters
    ----------
    path
        Where to.
    cells, genes
        How many.
    depth
        Expected molecules of a mean cell.
    seed
        Of all draws.
    """
    rng = np.random.default_rng(seed)
    programmes = np.vstack(
        [
            (rng.random((TYPES, genes)) < 0.15) * rng.normal(0.0, 1.2, (TYPES, genes)),
            (rng.random((WITHIN, genes)) < 0.1) * rng.normal(0.0, 0.4, (WITHIN, genes)),
        ]
    ).astype(np.float32)
    abundance = rng.normal(0.0, 1.8, genes).astype(np.float32)
    kinds = rng.choice(TYPES, cells, p=rng.dirichlet(np.full(TYPES, 5.0)))
    obs = pd.DataFrame({"cell_type": pd.Categorical(kinds)}, index=np.arange(cells).astype(str))
    with h5py.File(path, "w") as file:
        frame = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"gene_{i}" for i in range(genes)]))
        write_elem(file, "/", frame)
        for start in range(0, cells, WRITTEN):
            block = kinds[start : start + WRITTEN]
            parts = [
                _draw(rng, block[i : i + DRAWN], programmes, abundance, depth=depth)
                for i in range(0, len(block), DRAWN)
            ]
            counts = sparse.csr_matrix(sparse.vstack(parts, format="csr"))
            if start == 0:
                write_elem(file, "X", counts)
            else:
                sparse_dataset(file["X"]).append(counts)


def _draw(
    rng: np.random.Generator, kinds: np.ndarray, programmes: np.ndarray, abundance: np.ndarray, *, depth: float
) -> sparse.csr_matrix:
    weights = np.hstack([np.eye(TYPES, dtype=np.float32)[kinds], rng.normal(size=(len(kinds), WITHIN)).astype("f4")])
    mean = np.exp(weights @ programmes + abundance)
    size = depth * np.exp(rng.normal(-0.08, 0.4, (len(kinds), 1)))
    mean *= size / mean.sum(1, keepdims=True)
    return sparse.csr_matrix(rng.poisson(mean).astype(np.float32))
