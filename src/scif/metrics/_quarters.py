"""Quarters of genes by expression and of cells by depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["N_QUARTERS", "by_quarters", "quarters"]

N_QUARTERS = 4


def quarters(values: Any, n: int, *, name: str) -> np.ndarray:
    """Quarter (0 lowest to 3 highest) of each of ``n`` values by rank; equal values are split by position."""
    values = np.asarray(values, dtype=np.float64).ravel()
    if values.shape != (n,) or not np.isfinite(values).all():
        msg = f"{name} has {values.size} values; give {n} finite ones."
        raise ValueError(msg)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(n)
    return rank * N_QUARTERS // n


def by_quarters(
    count: Callable[[np.ndarray | slice], np.ndarray], depth: np.ndarray, expression: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of entries, ``(..., 4)``, within quarters of expression and of depth.

    ``count(rows)`` gives the entries that count, ``(..., rows, genes)``, for one block of cells.
    """
    cells, genes = depth.size, expression.size
    per_gene, per_depth = [], [0.0] * N_QUARTERS
    for start in range(0, cells, 512):
        rows = slice(start, start + 512)
        hit = count(rows)
        per_gene.append(hit.sum(axis=-2))
        for q in range(N_QUARTERS):
            per_depth[q] = per_depth[q] + hit[..., depth[rows] == q, :].sum(axis=(-2, -1))
    total = np.sum(per_gene, axis=0)
    with np.errstate(invalid="ignore"):
        by_expression = [
            total[..., expression == q].sum(axis=-1) / (cells * (expression == q).sum()) for q in range(N_QUARTERS)
        ]
        by_depth = [per_depth[q] / (genes * (depth == q).sum()) for q in range(N_QUARTERS)]
    return np.stack(by_expression, axis=-1), np.stack(by_depth, axis=-1)
