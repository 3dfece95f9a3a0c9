"""The two denoising scores of Open Problems, as released: for comparison with its tables, not for choosing."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import check_prediction, normalised
from scif.metrics._poisson import poisson_nll

__all__ = ["open_problems_mse", "open_problems_poisson"]


def open_problems_mse(prediction: Any, held_out: Any) -> float:
    """Mean squared error of ``log1p`` of 10,000-normalised counts, as released by Open Problems.

    Normalising a small sample of each cell to 10,000 turns every single molecule into a large value, so this score
    rewards sharpening. Use :func:`poisson_nll` instead.

    Parameters
    ----------
    prediction
        Expected counts, cells x genes, at any depth.
    held_out
        Held-out counts of the same shape.
    """
    test = sparse.csr_matrix(held_out)
    prediction = check_prediction(prediction, test.shape)
    total = 0.0
    for start in range(0, test.shape[0], 1024):
        rows = slice(start, start + 1024)
        total += float(np.square(normalised(prediction[rows]) - normalised(test[rows])).sum())
    return total / (test.shape[0] * test.shape[1])


def open_problems_poisson(prediction: Any, held_out: Any, *, scale: float = 1.0) -> float:
    """Poisson loss with prediction and held-out counts swapped, as released by Open Problems.

    The held-out counts take the place of the expectation, so the best possible denoiser does not minimise this score.
    Use :func:`poisson_nll` instead.

    Parameters
    ----------
    prediction
        Expected counts, cells x genes.
    held_out
        Held-out counts of the same shape.
    scale
        Depth of ``held_out`` relative to that of ``prediction``.
    """
    test = sparse.csr_matrix(held_out)
    prediction = check_prediction(prediction, test.shape)
    total = 0.0
    for start in range(0, test.shape[0], 1024):
        rows = slice(start, start + 1024)
        block = test[rows]
        total += poisson_nll(block, sparse.csr_matrix(prediction[rows]) * scale) * block.shape[0] * block.shape[1]
    return total / (test.shape[0] * test.shape[1])
