"""Checks at setup: every bad value is named before anything is changed."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from scif.counts.data.checks import CheckedCounts, check_counts, holds_counts, named

__all__ = ["check_setup", "named", "refuse_covariates"]

#: How several columns are crossed into one.
CROSSED = "adata.obs['batch_all'] = adata.obs[['batch', ...]].astype(str).agg('_'.join, axis=1)"
#: What scvi-tools passes on to the fields when a saved registry is applied.
PASSED_ON = ("source_registry", "extend_categories", "allow_missing_labels", "transfer_kwargs")
#: Factor by which a cell's counts per unit of size factor may differ from the median cell's.
ABSURD = 1000.0


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
    for name, key in (("layer", layer), ("batch_key", batch_key), ("size_factor_key", size_factor_key)):
        if key is not None and not isinstance(key, Hashable):
            msg = f"{name} is {key!r}; pass one name. Several columns are crossed into one, {CROSSED}."
            raise ValueError(msg)
        if name != "layer" and key is not None and list(adata.obs.columns).count(key) > 1:
            msg = (
                f"adata.obs has several columns {key!r}; keep one: "
                "adata.obs = adata.obs.loc[:, ~adata.obs.columns.duplicated()]."
            )
            raise ValueError(msg)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes; both must be at least 1."
        raise ValueError(msg)
    if layer is not None and layer not in adata.layers:
        msg = f"layer={layer!r} is not in adata.layers, which has {named(filter(None, adata.layers))}."
        raise ValueError(msg)
    if layer is None and adata.X is None:
        msg = "adata.X is empty; put the counts there or name their layer."
        raise ValueError(msg)
    duplicated = adata.var_names[adata.var_names.duplicated()].unique()
    if len(duplicated):
        msg = f"gene names are not unique: {named(duplicated)}. Call adata.var_names_make_unique() first."
        raise ValueError(msg)
    _check_batch(adata, batch_key)
    factors = _size_factors(adata, size_factor_key)
    checked = _check_counts(adata, layer)
    if factors is not None and size_factor_key is not None:
        _check_against_counts(adata, size_factor_key, factors, checked.totals)
    for remark in checked.remarks:
        warnings.warn(remark, UserWarning, stacklevel=3)


def refuse_covariates(arguments: dict[str, Any]) -> None:
    """Raise ``ValueError`` for the covariates of scvi-tools' models, with the mend; unknown arguments, too."""
    if keys := arguments.get("categorical_covariate_keys"):
        msg = (
            f"categorical_covariate_keys={list(keys)!r}: this model supports batches only. Combine the columns, "
            f"{CROSSED}, and pass batch_key='batch_all'."
        )
        raise ValueError(msg)
    if keys := arguments.get("continuous_covariate_keys"):
        msg = (
            f"continuous_covariate_keys={list(keys)!r}: this model has no continuous covariates. Cut the column into "
            "groups, adata.obs['group'] = pandas.qcut(adata.obs[key], 4).astype(str), and pass batch_key='group'; or "
            "omit it: shared variation is denoised, not removed."
        )
        raise ValueError(msg)
    for name in ("categorical_covariate_keys", "continuous_covariate_keys"):
        arguments.pop(name, None)  # empty: as if not given
    if (labels := arguments.pop("labels_key", None)) is not None:
        msg = f"labels_key={labels!r}: this model uses no labels of cells; leave it out."
        raise ValueError(msg)
    unknown = [name for name in arguments if name not in PASSED_ON]
    if unknown:
        msg = (
            f"setup_anndata() got an unexpected argument {unknown[0]!r}; it takes layer, batch_key and size_factor_key."
        )
        raise TypeError(msg)


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
    values = list(adata.obs[key].unique())
    others = {type(one).__name__ for one in values if not isinstance(one, str | bool | int | float | np.generic)}
    others |= {type(one).__name__ for one in values if isinstance(one, np.datetime64 | np.timedelta64)}
    texts = sum(isinstance(one, str) for one in values)
    if others or 0 < texts < len(values):
        kinds = sorted(others) or ["text", "numbers"]
        msg = (
            f"adata.obs[{key!r}] holds {' and '.join(kinds)}; batches are named by text or by numbers: "
            f"adata.obs[{key!r}] = adata.obs[{key!r}].astype(str)."
        )
        raise ValueError(msg)


def _size_factors(adata: AnnData, key: str | None) -> np.ndarray | None:
    if key is None:
        return None
    if key not in adata.obs:
        msg = f"size_factor_key={key!r} is not in adata.obs, which has {named(adata.obs.columns)}."
        raise ValueError(msg)
    column = adata.obs[key]
    is_real = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
    if not is_real or pd.api.types.is_bool_dtype(column.dtype):
        msg = (
            f"adata.obs[{key!r}] has dtype {column.dtype}, but size factors must be numbers: "
            f"adata.obs[{key!r}] = adata.obs[{key!r}].astype(float)."
        )
        raise ValueError(msg)
    values: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        msg = (
            f"adata.obs[{key!r}] must be positive and finite, but is {column.to_numpy()[bad][0]} "
            f"for {int(bad.sum())} cells: {named(adata.obs_names[bad])}."
        )
        raise ValueError(msg)
    return values


def _check_against_counts(adata: AnnData, key: str, factors: np.ndarray, totals: np.ndarray) -> None:
    """Refuse size factors that have nothing to do with the counts."""
    unit = np.log(totals) - np.log(factors)
    apart = np.abs(unit - np.median(unit))
    worst = int(apart.argmax())
    if apart[worst] > np.log(ABSURD):
        msg = (
            f"adata.obs[{key!r}] is {factors[worst]:g} for cell {adata.obs_names[worst]!r} with {totals[worst]:g} "
            f"counts: {np.exp(apart[worst]):.0f} times off the median cell's counts per unit of size factor. Size "
            "factors are proportional to library sizes; check the column."
        )
        raise ValueError(msg)


def _check_counts(adata: AnnData, layer: str | None) -> CheckedCounts:
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    data = adata.X if layer is None else adata.layers[layer]
    if getattr(data, "format", None) == "csc" and not sparse.issparse(data):
        warnings.warn(
            "The counts are column-compressed (csc) on disk and are read whole, since cells cannot be read one by one. "
            "Write them as a scipy.sparse.csr_matrix to train from disk.",
            UserWarning,
            stacklevel=4,
        )
    try:
        return check_counts(data, name=where, cells=adata.obs_names, genes=adata.var_names)
    except ValueError as error:
        other = _where_counts_are(adata, layer)
        if other is None:
            raise
        msg = f"{error} {other}"
        raise ValueError(msg) from None


def _where_counts_are(adata: AnnData, layer: str | None) -> str | None:
    """Sentence that names counts elsewhere in the same object; None if there are none."""
    for name, values in adata.layers.items():
        if name is not None and name != layer and holds_counts(values):  # None: X, from anndata 0.13 on
            return f"adata.layers[{name!r}] holds whole numbers that look like counts: pass layer={name!r}."
    if layer is not None and holds_counts(adata.X):
        return "adata.X holds whole numbers that look like counts: leave out layer."
    if adata.raw is not None and holds_counts(adata.raw.X):
        return (
            "adata.raw holds whole numbers that look like counts: "
            "adata.layers['counts'] = adata.raw[:, adata.var_names].X, then pass layer='counts'."
        )
    return None
