"""Checks of the model's own arguments: each error names the argument, its value and the choices."""

from __future__ import annotations

from typing import Any

import numpy as np

from scif.core.noise import Multinomial, NegativeBinomial, Poisson

__all__ = ["check_getter", "check_model", "row_numbers"]


def check_model(
    noise: Any, n_latent: int | None, start: str, *, n_hidden: int, dropout_rate: float, encoder: Any = None
) -> None:
    """Raise ``ValueError`` naming the first bad argument of :class:`~scif.model.ICM`."""
    allowed = (Poisson, Multinomial, NegativeBinomial)
    if not (noise in ("nb", "poisson") if isinstance(noise, str) else isinstance(noise, allowed)):
        msg = f"noise is {noise!r}; choose 'nb', 'poisson', or a Poisson, Multinomial or NegativeBinomial channel."
        raise ValueError(msg)
    if isinstance(noise, Poisson) and bool((noise.gain != 1).any()):
        msg = f"noise has gain {float(noise.gain.flatten()[0]):g}; counts have gain 1. Divide them by the gain."
        raise ValueError(msg)
    if n_latent is not None and n_latent < 1:
        msg = f"n_latent is {n_latent}; it must be at least 1."
        raise ValueError(msg)
    if n_hidden < 1:
        msg = f"n_hidden is {n_hidden}; it must be at least 1."
        raise ValueError(msg)
    if not 0.0 <= dropout_rate < 1.0:
        msg = f"dropout_rate is {dropout_rate:g}; it must be at least 0 and below 1."
        raise ValueError(msg)
    if encoder is not None and not callable(encoder):
        msg = f"encoder is {encoder!r}; pass a function of the numbers of inputs and of outputs that returns a network."
        raise TypeError(msg)
    if encoder is not None and (n_hidden, dropout_rate) != (256, 0.0):
        msg = "n_hidden and dropout_rate are of the default encoder; with an own encoder, leave them out."
        raise ValueError(msg)
    if start not in ("svd", "pooled"):
        msg = f"start is {start!r}; choose 'svd' or 'pooled'."
        raise ValueError(msg)


def check_getter(estimator: str, library_size: Any, n_samples: int, out: Any, return_numpy: bool) -> None:
    """Refuse arguments of the getter that make no sense together or alone."""
    if estimator not in ("mean", "transport", "sample"):
        msg = f"estimator is {estimator!r}; choose 'mean', 'transport' or 'sample'."
        raise ValueError(msg)
    named = library_size is None or (isinstance(library_size, str) and library_size in ("observed", "latent"))
    if not named and (isinstance(library_size, str) or not 0 < float(library_size) < np.inf):
        msg = f"library_size is {library_size!r}; choose None, 'observed', 'latent' or a positive number."
        raise ValueError(msg)
    if n_samples < 1 or (n_samples > 1 and estimator != "sample"):
        msg = f"n_samples is {n_samples}; it must be at least 1, and 1 unless estimator='sample'."
        raise ValueError(msg)
    if out is not None and not return_numpy:
        msg = "out and return_numpy=False exclude each other: what is written to out is no data frame."
        raise ValueError(msg)


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
