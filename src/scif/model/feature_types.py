"""Features that are no genes: proteins, peaks or guides beside the genes of one matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scif.model.checks import named
from scif.model.controls import CONTROL_KINDS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["check_feature_types"]

#: Columns of ``var`` in which 10x Genomics, scanpy and CELLxGENE say what a feature is.
COLUMNS = ("feature_types", "feature_type")
#: Name of genes in files of 10x Genomics.
GENES = "Gene Expression"
#: Values of ``feature_type`` in CELLxGENE, which are kinds of genes.
KINDS_OF_GENES = frozenset({"protein_coding", "lncRNA", "miRNA", "snRNA", "snoRNA", "rRNA", "scRNA", "misc_RNA"})


def check_feature_types(adata: AnnData) -> None:
    """Raise ``ValueError`` if features of several kinds stand side by side.

    They share no library size: antibody counts alone can be most of a cell's molecules, and the share of every gene
    would then be a share of antibodies. Each kind is denoised on its own.
    """
    column = next((name for name in COLUMNS if name in adata.var), None)
    if column is None:
        return
    values = adata.var[column].astype(str)
    kinds = values[~values.isin(CONTROL_KINDS)].value_counts()
    if len(kinds) < 2 or set(kinds.index) & KINDS_OF_GENES or column == "feature_type" and GENES not in kinds:
        return
    first = GENES if GENES in kinds else str(kinds.index[0])
    found = named([f"{kind} ({count})" for kind, count in kinds.items()])
    msg = (
        f"adata.var[{column!r}] has features of several kinds: {found}. They share no library size, so denoise one "
        f"kind at a time: adata = adata[:, adata.var[{column!r}] == {first!r}].copy(), and likewise the others."
    )
    raise ValueError(msg)
