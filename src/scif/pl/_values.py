"""Values to draw: of ``X`` or a layer, log-normalised, by gene, group or colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from scif.metrics._matrix import library_sizes

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["as_genes", "dense", "groups_of", "is_numeric", "log_normalised", "matrix", "marker_groups", "some_genes"]


def matrix(adata: AnnData, layer: str | None) -> Any:
    """``X``, or a layer once it is there."""
    if layer is None:
        return adata.X
    if layer not in adata.layers:
        msg = f"there is no layer {layer!r}; first run adata.layers[{layer!r}] = model.get_denoised()."
        raise ValueError(msg)
    return adata.layers[layer]


def as_genes(adata: AnnData, genes: str | Sequence[str], *, name: str = "genes") -> list[str]:
    """Names of genes of the AnnData; one name is a list of one."""
    chosen = [genes] if isinstance(genes, str) else [str(gene) for gene in genes]
    absent = [gene for gene in chosen if gene not in adata.var_names]
    if absent:
        msg = f"{name} {absent} are not in adata.var_names; pass names of genes of this AnnData."
        raise ValueError(msg)
    return chosen


def some_genes(adata: AnnData, genes: str | Sequence[str], *, name: str = "genes") -> list[str]:
    """The same, one or more."""
    chosen = as_genes(adata, genes, name=name)
    if not chosen:
        msg = f"{name} is empty; pass one name or more."
        raise ValueError(msg)
    return chosen


def marker_groups(adata: AnnData, genes: str | Sequence[str] | Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Genes by the name of what they mark; one nameless group for a plain list."""
    if isinstance(genes, Mapping):
        if not genes:
            msg = "genes is empty; pass one name or more."
            raise ValueError(msg)
        return {str(name): some_genes(adata, own, name=f"genes[{name!r}]") for name, own in genes.items()}
    return {"": some_genes(adata, genes)}


def groups_of(adata: AnnData, groupby: str) -> pd.Series:
    """A column of labels as categories, without those that no cell has."""
    if groupby not in adata.obs:
        msg = f"groupby is {groupby!r}, which is not a column of adata.obs; choose one of {list(adata.obs.columns)}."
        raise ValueError(msg)
    column = adata.obs[groupby]
    if pd.api.types.is_float_dtype(column):
        msg = f"groupby is {groupby!r}, which holds numbers; choose a column of labels."
        raise ValueError(msg)
    return column.astype("category").cat.remove_unused_categories()


def is_numeric(adata: AnnData, color: str) -> bool:
    """Whether a column of ``obs`` holds numbers, which get a colour bar."""
    if color not in adata.obs:
        msg = f"color is {color!r}, which is not a column of adata.obs; choose one of {list(adata.obs.columns)}."
        raise ValueError(msg)
    column = adata.obs[color]
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def dense(adata: AnnData, layer: str | None, genes: Sequence[str]) -> np.ndarray:
    """Values of some genes as they are, ``(cells, genes)``."""
    X = matrix(adata, layer)[:, adata.var_names.get_indexer(list(genes))]
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)


def log_normalised(adata: AnnData, layer: str | None, genes: Sequence[str]) -> np.ndarray:
    """``log1p`` of values of some genes scaled to 10,000 per cell over all genes, ``(cells, genes)``."""
    size = library_sizes(matrix(adata, layer))
    return np.log1p(dense(adata, layer, genes) * (1e4 / np.where(size > 0, size, 1.0))[:, None])
