"""The scale of a denoiser's output: bring it to counts, and notice when it is another than was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from scipy import sparse

from scif.metrics._matrix import as_counts, check_prediction, library_sizes

__all__ = ["Scale", "to_counts", "wrong_scale"]

Scale = Literal["counts", "relative", "log1p", "sqrt"]
_INVERSE: dict[Scale, Callable[[Any], Any]] = {"relative": lambda x: x, "log1p": np.expm1, "sqrt": np.square}
#: Share by which another reading of the values has to lower the deviance before their scale counts as wrong.
_BETTER = 0.1
_FLOOR = 1e-6
#: Cells that are looked at; every n-th of more.
_CELLS = 2000


def to_counts(values: Any, counts: Any, *, scale: Scale = "relative") -> Any:
    """Convert values on another scale to expected counts at the library sizes of ``counts``.

    Parameters
    ----------
    values
        Denoised values, cells x genes, dense or sparse, finite and non-negative.
    counts
        The counts that were denoised, of the same shape; their row sums are the depth of the result.
    scale
        Scale of ``values``: ``"counts"`` (returned unchanged), ``"relative"`` (each cell up to a factor, such as
        fractions or counts per 10,000), or ``"log1p"`` or ``"sqrt"`` of relative values.

    Returns
    -------
    Expected counts, cells x genes, dense or CSR as ``values``. A cell whose values are all zero stays zero.

    Raises
    ------
    ValueError
        If the scale is unknown, if shapes differ, or if a value is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import to_counts
    >>> counts = np.array([[1, 3], [4, 4]])
    >>> to_counts(np.log1p([[2500.0, 7500.0], [5000.0, 5000.0]]), counts, scale="log1p").round(6).tolist()
    [[1.0, 3.0], [4.0, 4.0]]
    """
    if scale not in get_args(Scale):
        msg = f"scale is {scale!r}; choose one of {', '.join(map(repr, get_args(Scale)))}."
        raise ValueError(msg)
    values = check_prediction(values, np.shape(counts), name="values")
    if scale == "counts":
        return values
    values = values.astype(np.float64)
    if sparse.issparse(values):
        values.data = _INVERSE[scale](values.data)
    else:
        values = _INVERSE[scale](values)
    total = library_sizes(values)
    if not np.isfinite(total).all():
        msg = f"values overflow on the scale {scale!r}; check that they are on this scale."
        raise ValueError(msg)
    factor = library_sizes(sparse.csr_matrix(counts)) / np.where(total > 0, total, 1.0)
    return values.multiply(factor[:, None]).tocsr() if sparse.issparse(values) else values * factor[:, None]


def wrong_scale(prediction: Any, counts: Any, *, name: str = "name") -> str | None:
    """The mend, in a sentence, if the prediction explains the counts far better on another scale than as counts.

    The reading of lowest Poisson deviance against ``counts`` (those the denoiser saw: nothing held out is used) is
    compared with the values as they are. Rescaling rows of a fair prediction hardly changes its deviance, so that one
    tenth less tells a wrong scale.
    """
    counts = as_counts(counts)
    every = slice(None, None, max(-(-counts.shape[0] // _CELLS), 1))
    values, counts = check_prediction(prediction, counts.shape)[every], counts[every]
    values = values if not sparse.issparse(values) else values.toarray()
    found: dict[Scale, float] = {"counts": _deviance(values, counts)}
    readings: tuple[tuple[Scale, float], ...] = (("relative", np.inf), ("sqrt", np.inf), ("log1p", 50.0))
    for scale, limit in readings:
        if values.max(initial=0.0) < limit:
            found[scale] = _deviance(to_counts(values, counts, scale=scale), counts)
    best = min(found, key=lambda scale: found[scale])
    if best == "counts" or found[best] >= (1 - _BETTER) * found["counts"]:
        return None
    depth = float(np.median(library_sizes(values) / np.maximum(library_sizes(counts), 1.0)))
    return (
        f"the values are not at the depth of the training counts (cells sum to {depth:.3g} times theirs in the median) "
        f"and fit them better as {best!r}: pass scales={{{name!r}: {best!r}}}, or return "
        f"scif.metrics.to_counts(values, adata.X, scale={best!r})"
    )


def _deviance(expected: np.ndarray, counts: sparse.csr_matrix) -> float:
    """Poisson deviance, half of it, summed: ``sum mu - x + x log(x / mu)``."""
    seen = counts.tocoo()
    mean = np.asarray(expected[seen.row, seen.col], dtype=np.float64) + _FLOOR
    return float(expected.sum(dtype=np.float64) + (seen.data * (np.log(seen.data / mean) - 1.0)).sum())
