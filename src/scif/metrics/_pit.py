"""Calibration of predictive distributions of counts by the randomised probability integral transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import betainc, gammaincc

from scif.metrics._coverage import Coverage, shares
from scif.metrics._matrix import check_prediction

__all__ = ["pit_of_draws", "predictive_coverage", "randomised_pit"]

_LEVELS = (0.5, 0.8, 0.9, 0.95)


def randomised_pit(counts: Any, mean: Any, *, shape: Any = None, seed: int | np.random.Generator = 0) -> np.ndarray:
    r"""Randomised probability integral transform of counts under Poisson or negative binomial predictions.

    .. math:: u = F(y - 1) + v \, P(y), \quad v \sim U(0, 1)

    If the predictions are right, ``u`` is uniform, even for counts near zero :cite:p:`czado2009predictive`. If
    predictions are too wide, values pile up in the middle; if they are too narrow, at both ends.

    Parameters
    ----------
    counts
        Held-out counts, cells x genes, dense or sparse.
    mean
        Predictive means at the depth of ``counts``, of the same shape.
    shape
        Shape (inverse dispersion) of the negative binomial: a number, one per gene, or of the shape of ``counts``;
        the variance is ``mean + mean**2 / shape``. Poisson if not given.
    seed
        Seed of ``v``, or a generator.

    Returns
    -------
    Values in [0, 1], cells x genes, float32.

    Raises
    ------
    ValueError
        If shapes differ, a mean is negative or not finite, or ``shape`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import randomised_pit
    >>> y = np.random.default_rng(1).poisson(0.3, (400, 50))
    >>> pit = randomised_pit(y, np.full(y.shape, 0.3))
    >>> (np.histogram(pit, 4, (0, 1))[0] / y.size).round(2).tolist()
    [0.24, 0.25, 0.25, 0.25]
    """
    rng = np.random.default_rng(seed)
    mean = check_prediction(mean, np.shape(counts), name="mean")
    alpha = None if shape is None else np.broadcast_to(np.asarray(shape, dtype=np.float64), mean.shape)
    if alpha is not None and not bool((alpha > 0).all()):
        msg = f"shape has values down to {np.nanmin(alpha):g}; the inverse dispersion is above zero."
        raise ValueError(msg)
    pit = np.empty(mean.shape, dtype=np.float32)
    for start in range(0, mean.shape[0], 512):
        rows = slice(start, start + 512)
        y, mu = _dense(counts[rows]), np.maximum(_dense(mean[rows]), 1e-300)
        a = None if alpha is None else alpha[rows]
        below = np.where(y > 0, _cdf(np.maximum(y - 1, 0), mu, a), 0.0)
        pit[rows] = below + rng.random(y.shape) * (_cdf(y, mu, a) - below)
    return pit


def pit_of_draws(counts: Any, draws: Any, *, seed: int | np.random.Generator = 0) -> np.ndarray:
    """Randomised probability integral transform of counts, computed from predictive draws.

    The transform is the rank of the count among its draws, with ties broken at random. It is uniform if the count has
    the same distribution as the draws. With few draws the transform is coarse but unbiased.

    Parameters
    ----------
    counts
        Held-out counts, cells x genes, dense or sparse.
    draws
        Predictive draws, draws x cells x genes.
    seed
        Seed of the random ranks, or a generator.

    Returns
    -------
    Values in [0, 1], cells x genes, float32.

    Raises
    ------
    ValueError
        If the shapes do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import pit_of_draws
    >>> rng = np.random.default_rng(0)
    >>> pit = pit_of_draws(rng.poisson(2.0, (300, 40)), rng.poisson(2.0, (9, 300, 40)))
    >>> round(float(pit.mean()), 2)
    0.5
    """
    draws = np.asarray(draws)
    if draws.ndim != 3 or draws.shape[1:] != np.shape(counts):
        msg = f"draws has shape {draws.shape}; pass draws x cells x genes with counts of shape {np.shape(counts)}."
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    y = _dense(counts)
    below, equal = (draws < y).sum(axis=0), (draws == y).sum(axis=0)
    return ((below + rng.random(y.shape) * (equal + 1)) / (len(draws) + 1)).astype(np.float32)


def predictive_coverage(
    pit: np.ndarray,
    *,
    levels: Sequence[float] = _LEVELS,
    expression: Any = None,
    depth: Any = None,
) -> Coverage:
    """Fraction of held-out counts inside central predictive intervals, computed from their randomised transform.

    Parameters
    ----------
    pit
        Transform of the counts, cells x genes, by :func:`randomised_pit` or :func:`pit_of_draws`.
    levels
        Nominal levels, each strictly between 0 and 1.
    expression
        One value per gene, which defines the quarters; by default genes are split by position.
    depth
        One value per cell, which defines the quarters; by default cells are split by position.

    Returns
    -------
    Fractions overall and within quarters, for each level.

    Raises
    ------
    ValueError
        If a level is not between 0 and 1, or if the transform lies outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import predictive_coverage, randomised_pit
    >>> rng = np.random.default_rng(0)
    >>> mean = rng.gamma(0.5, 2.0, (600, 80))
    >>> counts = rng.negative_binomial(3.0, 3.0 / (3.0 + mean))
    >>> right, poisson = (predictive_coverage(randomised_pit(counts, mean, shape=s)) for s in (3.0, None))
    >>> right.overall.round(2).tolist(), poisson.overall.round(2).tolist()
    ([0.5, 0.8, 0.9, 0.95], [0.47, 0.76, 0.87, 0.92])
    """
    pit = np.asarray(pit)
    nominal = np.asarray(levels, dtype=np.float64)
    if nominal.ndim != 1 or not bool(((nominal > 0) & (nominal < 1)).all()):
        msg = f"levels is {levels}; each lies strictly between 0 and 1."
        raise ValueError(msg)
    if pit.ndim != 2 or min(pit.shape) < 4 or not bool(((pit >= 0) & (pit <= 1)).all()):
        msg = f"pit has shape {pit.shape}; pass cells x genes, at least four of each, with values in [0, 1]."
        raise ValueError(msg)

    def inside(rows: np.ndarray | slice) -> np.ndarray:
        return np.abs(pit[rows] - 0.5)[None] <= nominal[:, None, None] / 2

    cells = np.arange(pit.shape[0]) if depth is None else depth
    genes = np.arange(pit.shape[1]) if expression is None else expression
    return shares(inside, pit.shape, nominal, genes, cells)


def _cdf(y: np.ndarray, mean: np.ndarray, shape: np.ndarray | None) -> np.ndarray:
    if shape is None:
        return gammaincc(y + 1.0, mean)
    return betainc(shape, y + 1.0, shape / (shape + mean))


def _dense(X: Any) -> np.ndarray:
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)
