"""Checks of the model's own arguments: each error names the argument, its value and the choices."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import fields
from typing import Any

import numpy as np
from scipy import sparse

from scif.core._check import is_number, is_whole
from scif.core.noise import Multinomial, NegativeBinomial, Poisson
from scif.counts.config import NetworkConfig

__all__ = [
    "check_batch_size",
    "check_getter",
    "check_model",
    "check_out",
    "check_plan",
    "check_seed",
    "names_of",
    "result_type",
    "row_numbers",
]

#: Library sizes between which single precision holds expected counts.
LEAST, MOST = 1e-30, 1e30


def check_model(
    noise: Any,
    n_latent: int | None,
    start: str,
    *,
    n_hidden: int,
    dropout_rate: float,
    seed: Any = 0,
    encoder: Any = None,
) -> None:
    """Raise ``ValueError`` naming the first bad argument of :class:`~scif.model.ICM`."""
    allowed = (Poisson, Multinomial, NegativeBinomial)
    if not (noise in ("nb", "poisson") if isinstance(noise, str) else isinstance(noise, allowed)):
        msg = f"noise is {noise!r}; choose 'nb', 'poisson', or a Poisson, Multinomial or NegativeBinomial channel."
        raise ValueError(msg)
    if isinstance(noise, Poisson) and bool((noise.gain != 1).any()):
        msg = f"noise has gain {float(noise.gain.flatten()[0]):g}; counts have gain 1. Divide them by the gain."
        raise ValueError(msg)
    for name, count in (("n_latent", n_latent), ("n_hidden", n_hidden)):
        if count is not None and (not is_whole(count) or count < 1):
            msg = f"{name} is {count!r}; it must be a whole number of at least 1."
            raise ValueError(msg)
    check_seed(seed)
    if not is_number(dropout_rate) or not 0.0 <= dropout_rate < 1.0:
        msg = f"dropout_rate is {dropout_rate!r}; it must be at least 0 and below 1."
        raise ValueError(msg)
    if encoder is not None and not callable(encoder):
        msg = f"encoder is {encoder!r}; pass a function of the numbers of inputs and of outputs that returns a network."
        raise TypeError(msg)
    if encoder is not None and (n_hidden, dropout_rate) != (256, 0.0):
        msg = "n_hidden and dropout_rate apply to the default encoder only; omit them with your own encoder."
        raise ValueError(msg)
    if start not in ("svd", "pooled"):
        msg = f"start is {start!r}; choose 'svd' or 'pooled'."
        raise ValueError(msg)


def check_plan(plan_kwargs: Any) -> dict[str, Any]:
    """Refuse constants of the network's training that there are none of."""
    known = [field.name for field in fields(NetworkConfig)]
    if not isinstance(plan_kwargs, dict) or not plan_kwargs.keys() <= set(known):
        msg = f"plan_kwargs is {plan_kwargs!r}; pass a dictionary of some of {', '.join(known)}."
        raise ValueError(msg)
    return plan_kwargs


def check_getter(estimator: str, library_size: Any, n_samples: int, out: Any, return_numpy: bool) -> None:
    """Refuse arguments of the getter that make no sense together or alone."""
    if estimator not in ("mean", "transport", "sample"):
        msg = f"estimator is {estimator!r}; choose 'mean', 'transport' or 'sample'."
        raise ValueError(msg)
    named = library_size is None or (isinstance(library_size, str) and library_size in ("observed", "latent"))
    if not named and not (is_number(library_size) and LEAST < float(library_size) < MOST):
        msg = f"library_size is {library_size!r}; choose None, 'observed', 'latent' or a positive number."
        raise ValueError(msg)
    if not is_whole(n_samples) or n_samples < 1 or (n_samples > 1 and estimator != "sample"):
        msg = f"n_samples is {n_samples!r}; it must be a whole number of at least 1, and 1 unless estimator='sample'."
        raise ValueError(msg)
    if out is not None and not return_numpy:
        msg = "out and return_numpy=False cannot be combined: a data frame cannot be written to out."
        raise ValueError(msg)


def check_batch_size(batch_size: Any) -> None:
    """Refuse a number of cells at a time that is none."""
    if batch_size is not None and (not is_whole(batch_size) or batch_size < 1):
        msg = f"batch_size is {batch_size!r}; it must be a whole number of at least 1."
        raise ValueError(msg)


def check_seed(seed: Any) -> None:
    """Refuse a seed that no generator takes."""
    if not is_whole(seed) or not 0 <= seed < 2**63:
        msg = f"seed is {seed!r}; it must be a whole number from 0 to 2**63 - 1."
        raise ValueError(msg)


def result_type(dtype: Any) -> np.dtype[Any]:
    """Type of a result, which must hold fractions: values that are rounded to whole numbers are not denoised."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if not np.issubdtype(found, np.floating):
        msg = f"dtype is {dtype!r}, which does not hold expected counts; choose a type of floats, such as 'float32'."
        raise ValueError(msg)
    return found


def check_out(out: Any, shape: tuple[int, ...], counts: Any) -> None:
    """Refuse what a result cannot be written to, and the counts themselves."""
    if sparse.issparse(out) or not hasattr(out, "__setitem__") or not hasattr(out, "shape"):
        msg = f"out is a {type(out).__name__}; pass an array of shape {shape}: in memory, of h5py, or of zarr."
        raise ValueError(msg)
    if tuple(out.shape) != shape:
        msg = f"out has shape {tuple(out.shape)}, but the result has {shape}."
        raise ValueError(msg)
    if getattr(out, "dtype", None) is not None and not np.issubdtype(np.dtype(out.dtype), np.floating):
        msg = f"out has dtype {out.dtype}, which does not hold expected counts; pass an array of floats."
        raise ValueError(msg)
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        msg = "out is read-only; pass an array that can be written to."
        raise ValueError(msg)
    if isinstance(out, np.ndarray) and isinstance(counts, np.ndarray) and np.may_share_memory(out, counts):
        msg = "out is the counts themselves, which would be overwritten; pass another array."
        raise ValueError(msg)


def names_of(values: Any, argument: str) -> list[str]:
    """Names, from any sequence of text.

    Raises
    ------
    ValueError
        If this is one text, a number, or a set, which has no order.
    """
    if isinstance(values, str | bytes | Set) or not isinstance(values, Iterable):
        what = "single name" if isinstance(values, str) else type(values).__name__
        msg = f"{argument} is the {what} {values!r}; pass a list of names."
        raise ValueError(msg)
    return [str(value) for value in values]


def row_numbers(indices: Any, num_cells: int) -> np.ndarray:
    """Cells asked for, as numbers from 0 in the order asked for."""
    if indices is None:
        return np.arange(num_cells)
    rows = np.asarray(indices)
    if rows.dtype == bool:
        if rows.shape != (num_cells,):
            msg = f"indices is a mask of shape {rows.shape}, but there are {num_cells} cells."
            raise ValueError(msg)
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.empty(0, dtype=np.int64)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        msg = f"indices has dtype {rows.dtype} and shape {rows.shape}; pass whole numbers or a mask."
        raise ValueError(msg)
    if rows.min() < -num_cells or rows.max() >= num_cells:
        worst = int(rows.max() if rows.max() >= num_cells else rows.min())
        msg = f"indices contains {worst}, but there are {num_cells} cells."
        raise ValueError(msg)
    return rows % num_cells
