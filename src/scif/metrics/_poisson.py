"""Poisson negative log-likelihood of held-out molecules."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import check_prediction

__all__ = ["poisson_nll"]

_LOG_FLOOR = 1e-6


def poisson_nll(prediction: Any, held_out: Any, *, scale: float = 1.0) -> float:
    r"""Mean Poisson negative log-likelihood of held-out counts, up to a constant of the data; lower is better.

    .. math:: \frac{1}{nG} \sum_{ig} p_{ig} - y_{ig} \log(p_{ig} + 10^{-6})

    The small constant limits the loss of predicting exactly zero where there is a molecule. The logarithm is computed
    only at the non-zero entries of ``held_out``, so no additional array of the size of the prediction is needed.

    Parameters
    ----------
    prediction
        Expected counts, cells x genes, dense or sparse, finite and not negative.
    held_out
        Held-out counts of the same shape.
    scale
        Depth of ``held_out`` relative to that of ``prediction`` (:attr:`CountSplit.scale`).

    Raises
    ------
    ValueError
        If shapes differ, or if the prediction has a negative or non-finite value.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import poisson_nll
    >>> counts = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> poisson_nll(counts, counts) < poisson_nll(counts.mean() * np.ones((2, 2)), counts)
    True
    """
    test = sparse.csr_matrix(held_out)
    prediction = check_prediction(prediction, test.shape)
    total = float(prediction.sum(dtype=np.float64)) * scale
    for start in range(0, test.shape[0], 1024):  # bounds the temporaries when almost every entry is non-zero
        rows = test[start : start + 1024].tocoo()
        expected = np.asarray(prediction[start + rows.row, rows.col], dtype=np.float64).ravel() * scale
        total -= float(rows.data @ np.log(expected + _LOG_FLOOR))
    return total / (test.shape[0] * test.shape[1])
