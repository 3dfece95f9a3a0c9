"""Which features of an AnnData are spike-ins or controls, and not genes of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scif.counts.controls import is_control_name
from scif.counts.data.stored import by_rows
from scif.model.checks import named

if TYPE_CHECKING:
    from typing import Any

    from anndata import AnnData

__all__ = ["CONTROL_KINDS", "KEY", "check_cells_beside_controls", "control_remark", "controls_of"]

#: Entry of the registry with the names.
KEY = "controls"
#: Columns of ``var`` that mark controls, if they are true or false.
COLUMNS = ("control", "is_control", "spike_in", "spikein", "is_spike_in", "is_spike", "ercc", "ERCC")
#: Columns that say what a feature is, and the kinds that are controls.
TYPES = ("feature_types", "feature_type")
CONTROL_KINDS = frozenset(
    {
        "Negative Control Probe",
        "Negative Control Codeword",
        "Unassigned Codeword",
        "Deprecated Codeword",
        "Genomic Control",
        "Blank Codeword",
        "Control",
        "Spike-in",
        "spike-in",
        "ERCC",
    }
)
#: Rows read at once.
CHUNK = 2048


def controls_of(adata: AnnData) -> np.ndarray:
    """Whether each feature is a spike-in or control, ``(genes,)``: by a column of ``var``, else by kind or name.

    All features of a set that has nothing else are its genes.
    """
    column = next((name for name in COLUMNS if name in adata.var and _is_truth(adata.var[name])), None)
    if column is not None:
        found = adata.var[column].astype(bool).to_numpy()
    else:
        found = is_control_name(adata.var_names)
        for name in TYPES:
            if name in adata.var:
                found = found | adata.var[name].astype(str).isin(CONTROL_KINDS).to_numpy()
    return np.zeros(adata.n_vars, dtype=bool) if found.all() else found


def _is_truth(column: pd.Series) -> bool:
    return bool(pd.api.types.is_bool_dtype(column.dtype)) and not bool(column.isna().any())


def control_remark(adata: AnnData, found: np.ndarray) -> str | None:
    """One line that says which features are kept out; None if there are none."""
    if not found.any():
        return None
    return (
        f"{int(found.sum())} features are spike-ins or controls ({named(adata.var_names[found], most=2)}): they do "
        "not count towards library sizes and are returned as observed. To denoise them as genes, set "
        "adata.var['control'] = False."
    )


def check_cells_beside_controls(adata: AnnData, layer: str | None, found: np.ndarray) -> None:
    """Raise ``ValueError`` if cells have no counts but those of controls."""
    if not found.any():
        return
    rows: Any = by_rows(adata.X if layer is None else adata.layers[layer])
    for start in range(0, adata.n_obs, CHUNK):
        part = rows[start : min(start + CHUNK, adata.n_obs)]
        empty = np.flatnonzero(np.asarray(part[:, np.flatnonzero(~found)].sum(1)).ravel() == 0)
        if len(empty):
            msg = (
                f"cells have counts of spike-ins or controls only, among them "
                f"{named(adata.obs_names[start + empty])}. Remove them: adata = adata[numpy.asarray("
                "adata[:, genes].X.sum(1)).ravel() > 0].copy(), where genes are the other features."
            )
            raise ValueError(msg)
