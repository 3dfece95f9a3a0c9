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

    The small constant bounds the price of predicting exactly zero for a molecule that is there. The logarithm is
    taken at the non-zero entries of ``held_out`` only, and no array of the size of the prediction is made.

    Parameters
    ----------
    prediction
        Expected counts, cells x genes, dense or sparse, finite and not negative.
    held_out
        Held-out counts of the same shape.
    scale
        Factor from the depth of ``prediction`` to that of ``held_out`` (:attr:`CountSplit.scale`).

    Raises
    ------
    ValueError
        If shapes differ or the prediction holds a negative or non-finite value.

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
