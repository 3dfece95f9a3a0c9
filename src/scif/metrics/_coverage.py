"""Do intervals hold what they should hold?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics._matrix import library_sizes
from scif.metrics._quarters import by_quarters, quarters

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Coverage", "coverage"]


@dataclass(frozen=True)
class Coverage:
    """Fraction of values inside their intervals; see :func:`coverage` and :func:`predictive_coverage`.

    Attributes
    ----------
    levels
        Nominal levels, ``(levels,)``; NaN if none was given.
    overall
        Fraction of all entries inside, ``(levels,)``.
    by_expression
        Fraction inside within quarters of the genes by expression, lowest first, ``(levels, 4)``.
    by_depth
        Fraction inside within quarters of the cells by depth, lowest first, ``(levels, 4)``.
    """

    levels: np.ndarray
    overall: np.ndarray
    by_expression: np.ndarray
    by_depth: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per level: the fraction of all entries, and within each quarter."""
        import pandas as pd

        columns: dict[str, Any] = {"overall": self.overall}
        columns |= {f"expression quarter {i + 1}": self.by_expression[:, i] for i in range(4)}
        columns |= {f"depth quarter {i + 1}": self.by_depth[:, i] for i in range(4)}
        return pd.DataFrame(columns, index=pd.Index(self.levels, name="level"))

    def worst(self) -> float:
        """Largest difference between a fraction, overall or within a quarter, and its level."""
        off = [self.overall[:, None], self.by_expression, self.by_depth]
        return float(max(np.nanmax(np.abs(share - self.levels[:, None])) for share in off))

    def __repr__(self) -> str:
        return f"Coverage\n{self.to_frame().round(3).to_string()}"


def coverage(
    values: Any,
    lower: Any,
    upper: Any,
    *,
    level: float | None = None,
    expression: Any = None,
    depth: Any = None,
) -> Coverage:
    """Fraction of values inside intervals: overall, and within quarters of expression and of depth.

    Both ends belong to the interval. For counts, use :func:`predictive_coverage`: because counts are whole numbers,
    their intervals contain more than the nominal level.

    Parameters
    ----------
    values
        True values, cells x genes, dense or sparse, for example expected counts of a simulation.
    lower, upper
        Lower and upper ends of the intervals, with the shape of ``values``.
    level
        Nominal level, for the table.
    expression
        One value per gene, which defines the quarters; default the mean of ``values``.
    depth
        One value per cell, which defines the quarters; default the sum of ``values``.

    Returns
    -------
    Fractions overall and within quarters.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than four cells or genes, or a lower end lies above the upper one or is
        missing.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import coverage
    >>> values = np.random.default_rng(0).normal(size=(500, 80))
    >>> found = coverage(values, np.full((500, 80), -1.645), np.full((500, 80), 1.645), level=0.9)
    >>> found.overall.round(2).tolist()
    [0.9]
    """
    lower, upper = np.asarray(lower), np.asarray(upper)
    shape = np.shape(values)
    _check_shapes(shape, lower=lower.shape, upper=upper.shape)
    if not bool((lower <= upper).all()):
        msg = f"lower is above upper, or missing, in {int((~(lower <= upper)).sum())} entries; pass ordered ends."
        raise ValueError(msg)

    def inside(rows: np.ndarray | slice) -> np.ndarray:
        block = values[rows]
        block = block.toarray() if hasattr(block, "toarray") else np.asarray(block)
        return ((block >= lower[rows]) & (block <= upper[rows]))[None]

    cells = library_sizes(values) if depth is None else depth
    genes = np.asarray(values.sum(axis=0)).ravel() if expression is None else expression
    return shares(inside, shape, np.array([np.nan if level is None else level]), genes, cells)


def shares(inside: Any, shape: tuple[int, int], levels: np.ndarray, expression: Any, depth: Any) -> Coverage:
    """Coverage from a function of a block of cells to booleans, ``(levels, cells, genes)``."""
    by_depth = quarters(depth, shape[0], name="depth")
    by_gene = quarters(expression, shape[1], name="expression")
    of_genes, of_cells = by_quarters(inside, by_depth, by_gene)
    weight = np.bincount(by_gene, minlength=4) / shape[1]
    return Coverage(levels, of_genes @ weight, of_genes, of_cells)


def _check_shapes(wanted: tuple[int, ...], **found: tuple[int, ...]) -> None:
    if len(wanted) != 2 or min(wanted) < 4:
        msg = f"values has shape {wanted}; pass cells x genes with at least four of each."
        raise ValueError(msg)
    for name, shape in found.items():
        if shape != wanted:
            msg = f"{name} has shape {shape} but values has shape {wanted}; pass cells x genes in one order."
            raise ValueError(msg)
