"""Tables of a lazily read AnnData: small beside the counts, and needed whole."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
from anndata import AnnData

__all__ = ["load_tables"]


def load_tables(adata: Any) -> None:
    """Read ``obs`` and ``var`` of an AnnData of :func:`anndata.experimental.read_lazy`; its counts stay on disk.

    A view of one becomes an AnnData of its own, as it does whenever a table of it is set.

    Parameters
    ----------
    adata
        Cells; left as they are if the tables are data frames already, or if this is no AnnData.
    """
    if not isinstance(adata, AnnData):
        return
    for axis in ("obs", "var"):
        table: Any = getattr(adata, axis)
        if not isinstance(table, pd.DataFrame) and hasattr(table, "to_memory"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a view that becomes an AnnData of its own
                setattr(adata, axis, table.to_memory())
