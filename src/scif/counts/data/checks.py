"""Checks of a count matrix: every bad value is named before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from scif.counts.data.molecules import LOOKED_AT, unlike_molecules
from scif.counts.data.stored import by_rows
from scif.counts.data.transformed import GeneMoments, transformed

__all__ = ["CheckedCounts", "check_counts", "holds_counts", "is_numeric", "named"]

#: Rows read at once; rows of each piece in which transformations are looked for, and such pieces.
CHUNK, SAMPLE, PIECES = 2048, 256, 8
#: Largest whole number up to which single precision holds all of them, and the same for double precision.
SINGLE, DOUBLE = 2**24, 2**53


@dataclass(frozen=True)
class CheckedCounts:
    """Counts that were looked through.

    Attributes
    ----------
    totals
        Sum of each cell, ``(cells,)``.
    remarks
        What the caller should warn of.
    """

    totals: np.ndarray
    remarks: tuple[str, ...]


def check_counts(
    data: Any,
    *,
    name: str = "counts",
    cells: Sequence[Any] | None = None,
    genes: Sequence[Any] | None = None,
) -> CheckedCounts:
    """Look through a count matrix once, in pieces.

    Parameters
    ----------
    data
        Counts ``(cells, genes)``: array, sparse matrix, or counts on disk.
    name
        Name of the counts in messages.
    cells, genes
        Names of the cells and genes; their numbers if not given.

    Raises
    ------
    ValueError
        If counts are not numbers, negative, not finite, beyond 2**53, or transformed; if cells have none, or a sparse
        matrix is damaged. Names cell, gene, and the mend.

    Examples
    --------
    >>> import numpy as np
    >>> check_counts(np.array([[1, 0], [2, 3]])).totals.tolist()
    [1.0, 5.0]
    >>> check_counts(np.array([[1.0, -2.0]]))
    Traceback (most recent call last):
    ValueError: counts contains -2.0 in cell 0, gene 1; counts must be finite and not negative.
    """
    if not is_numeric(data):
        msg = f"{name} has dtype {getattr(data, 'dtype', type(data).__name__)}; counts must be numbers."
        raise ValueError(msg)
    if np.dtype(data.dtype) == np.float16:
        msg = (
            f"{name} has dtype float16, which holds whole numbers only up to 2048 and is not supported by sparse "
            "matrices; read the counts again as float32, or use .astype('float32') if none is larger."
        )
        raise ValueError(msg)
    num_cells, num_genes = (int(n) for n in data.shape)
    cells = range(num_cells) if cells is None else cells
    genes = range(num_genes) if genes is None else genes
    moments, totals = GeneMoments.empty(num_genes), np.zeros(num_cells)
    fractional, largest, odd = 0, 0.0, None
    sample: list[sparse.csr_matrix] = []
    step = -(-num_cells // (CHUNK * PIECES))
    for start, x in _pieces(data, num_cells, name):
        _check_values(x, start, name, cells, genes)
        sums = np.asarray(x.sum(1, dtype=np.float64)).ravel()
        empty = np.flatnonzero(sums == 0)
        if len(empty):
            msg = (
                f"{name} has cells without any counts, among them {named([cells[start + int(i)] for i in empty])}. "
                "Remove them with scanpy.pp.filter_cells(adata, min_counts=1)."
            )
            raise ValueError(msg)
        totals[start : start + len(sums)] = sums
        moments.add(x)
        fractional += int((x.data != np.round(x.data)).sum())
        largest = max(largest, float(x.data.max(initial=0)))
        if start == 0:
            odd = unlike_molecules(x[:LOOKED_AT])
        if start // CHUNK % step == 0:
            sample.append(x[:SAMPLE])
    said = transformed(sparse.csr_matrix(sparse.vstack(sample)), moments)
    if said is not None:
        msg = f"{name} {said}"
        raise ValueError(msg)
    return CheckedCounts(totals, tuple(_remarks(name, fractional, largest, odd)))


def _remarks(name: str, fractional: int, largest: float, odd: str | None) -> Iterator[str]:
    if fractional:
        yield (
            f"{name} has {fractional} entries that are not whole numbers. They are treated as corrected counts; "
            "normalised values would give wrong noise levels."
        )
    if largest > SINGLE:
        yield (
            f"{name} has values up to {largest:.6g}; beyond 2**24 = {SINGLE} they are rounded to single precision, "
            "with a relative error of 6e-8."
        )
    if odd is not None:
        yield f"{name} {odd}"


def _check_values(x: sparse.csr_matrix, start: int, name: str, cells: Sequence[Any], genes: Sequence[Any]) -> None:
    for bad, must in (
        (~(np.isfinite(x.data) & (x.data >= 0)), "be finite and not negative"),
        (x.data > DOUBLE, "be less than 2**53, above which whole numbers are not exact"),
    ):
        if not bad.any():
            continue
        entry = int(np.flatnonzero(bad)[0])
        row = start + int(np.searchsorted(x.indptr, entry, side="right")) - 1
        scaled = "" if (x.data < 0).sum() < max(10, 0.1 * x.nnz) else " Many are negative, like z-scores or residuals."
        msg = (
            f"{name} contains {x.data[entry]} in cell {cells[row]!r}, gene {genes[x.indices[entry]]!r}; "
            f"counts must {must}.{scaled}"
        )
        raise ValueError(msg)


def is_numeric(data: Any) -> bool:
    """Whether values are real numbers."""
    dtype = np.dtype(getattr(data, "dtype", object))
    return bool(np.issubdtype(dtype, np.number) or dtype.kind == "b") and not np.issubdtype(dtype, np.complexfloating)


def holds_counts(data: Any) -> bool:
    """Whether the first cells have whole numbers that are not transformed, some of them beyond one."""
    if data is None or not is_numeric(data) or len(data.shape) != 2 or 0 in data.shape:
        return False
    try:
        x = sparse.csr_matrix(data[: min(SAMPLE, data.shape[0])])
    except (TypeError, ValueError, IndexError, KeyError):
        return False
    if not (np.isfinite(x.data) & (x.data >= 0) & (x.data == np.round(x.data))).all() or x.data.max(initial=0) < 2:
        return False
    moments = GeneMoments.empty(x.shape[1])
    moments.add(x)
    return transformed(x, moments) is None


def _pieces(data: Any, num_cells: int, name: str) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Rows as sparse matrices, with the number of the first."""
    if getattr(data, "format", None) == "csc":
        data = data if sparse.issparse(data) else data.to_memory()
        _check_structure(data, name)
    rows = by_rows(data)
    for start in range(0, num_cells, CHUNK):
        part = rows[start : min(start + CHUNK, num_cells)]
        if sparse.issparse(part):
            _check_structure(part, name)
        x = sparse.csr_matrix(part)
        if x.has_canonical_format is False:
            x = x.copy() if x is part else x
            x.sum_duplicates()
        yield start, x


def _check_structure(x: Any, name: str) -> None:
    """Refuse indices that point outside of the matrix."""
    if getattr(x, "format", None) not in ("csr", "csc"):
        return
    try:
        x.check_format(full_check=True)
    except ValueError as error:
        msg = f"{name} is a damaged sparse matrix ({error}). Write the file again from its source."
        raise ValueError(msg) from error


def named(values: Any, most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = [str(v) for v in values]
    shown = ", ".join(repr(n) for n in names[:most]) or "nothing"
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
