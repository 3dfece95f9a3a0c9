"""Cells and genes whose counts disagree most with their estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics._blocks import blocks
from scif.metrics._matrix import as_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["changed_most"]


def changed_most(
    denoised: Any,
    observed: Any,
    *,
    n: int = 20,
    min_counts: float = 50.0,
    cells: Sequence[str] | None = None,
    genes: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Tables of the cells and the genes that denoising changed most, relative to sampling noise.

    Rows are sorted by ``surprise``: :math:`\sum (x - \mu)^2 - x` in units of its standard deviation :math:`\sqrt{2 \sum
    \mu^2}` under Poisson noise. It is large for doublets, for genes that the model does not capture, and for outlier
    counts.

    Parameters
    ----------
    denoised
        Expected counts at the depth of ``observed``, cells x genes; or a function that maps a slice of cells to their
        rows.
    observed
        Observed counts, cells x genes.
    n
        Number of cells and of genes to list.
    min_counts
        Minimum number of observed molecules of a listed cell or gene. With fewer, one molecule is already a large
        surprise.
    cells, genes
        Names of the cells and genes; default row and column numbers.

    Returns
    -------
    Two data frames, for cells and for genes, with ``counts`` and ``denoised`` (both summed), ``moved`` (fraction of the
    molecules that moved) and ``surprise``.

    Raises
    ------
    ValueError
        If shapes differ, or if the number of names does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import changed_most
    >>> observed = np.array([[4, 6], [5, 5], [30, 0]])
    >>> by_cell, _ = changed_most(np.array([[4.0, 6.0], [5.0, 5.0], [15.0, 15.0]]), observed, n=1, min_counts=9)
    >>> by_cell.round(1).to_dict("list")
    {'counts': [30.0], 'denoised': [30.0], 'moved': [0.5], 'surprise': [14.0]}
    """
    import pandas as pd

    counts = as_counts(observed, name="observed")
    sums = [np.zeros((4, size)) for size in counts.shape]  # observed, moved, excess, square of the estimate
    after = [np.zeros(size) for size in counts.shape]
    for rows, mean in blocks(denoised, counts.shape):
        x = counts[rows].toarray()
        parts = (x, np.abs(x - mean), np.square(x - mean) - x, np.square(mean))
        for i, part in enumerate(parts):
            sums[0][i, rows] = part.sum(axis=1)
            sums[1][i] += part.sum(axis=0)
        after[0][rows] = mean.sum(axis=1)
        after[1] += mean.sum(axis=0)
    frames = []
    for (total, moved, excess, square), denoised_total, names, what in zip(
        sums, after, (cells, genes), ("cell", "gene"), strict=True
    ):
        if names is not None and len(names) != total.size:
            msg = f"{what}s has {len(names)} names; give {total.size}."
            raise ValueError(msg)
        surprise = excess / np.sqrt(2 * np.maximum(square, 1e-12))
        columns = {
            "counts": total,
            "denoised": denoised_total,
            "moved": moved / np.maximum(total + denoised_total, 1e-12),
            "surprise": np.where(square > 1e-12, surprise, 0.0),
        }
        index = pd.Index(np.arange(total.size) if names is None else list(names), name=what)
        table = pd.DataFrame(columns, index=index)
        order = np.argsort(-columns["surprise"], kind="stable")
        frames.append(table.iloc[order[total[order] >= min_counts][:n]])
    return frames[0], frames[1]
