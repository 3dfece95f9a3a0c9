"""Quantiles and draws of gamma variables, by tables around the Wilson-Hilferty approximation."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy import special
from torch import Tensor

__all__ = ["gamma_from_normal", "gamma_quantile"]

#: Points of the tables in the shape (its reciprocal root, or its logarithm), and in the normal score.
SHAPES, SCORES = 257, 97
#: Largest normal score that is told apart (dimensionless): of a thousand million draws one lies beyond.
FARTHEST = 6.0
#: Least gamma shape in the table of quantiles (dimensionless): below it nearly all draws are zero in single precision.
LEAST = 1e-4


def gamma_quantile(shape: Tensor, probability: float) -> Tensor:
    r"""Quantiles of gamma variables with mean one.

    Parameters
    ----------
    shape
        Gamma shapes, any size, above zero.
    probability
        Strictly between 0 and 1.

    Returns
    -------
    Quantiles, of the size of ``shape``; relative errors are below 1e-4, of shapes above 0.01.

    Raises
    ------
    ValueError
        If the probability lies outside (0, 1).

    Examples
    --------
    >>> import torch
    >>> [round(float(q), 4) for q in gamma_quantile(torch.tensor([1.0, 100.0]), 0.95)]
    [2.9957, 1.17]
    """
    if not 0.0 < probability < 1.0:
        msg = f"probability is {probability}; pass one strictly between 0 and 1."
        raise ValueError(msg)
    large, small = (torch.from_numpy(table).to(shape) for table in _quantile_tables(probability))
    steep = shape.clamp_min(1.0).rsqrt()
    score = float(special.ndtri(probability))
    above = _wilson_hilferty(steep, score) + _interpolate(large, steep * (SHAPES - 1))
    clamped = shape.clamp(LEAST, 1.0)
    place = (1.0 - clamped.log() / np.log(LEAST)) * (SHAPES - 1)
    below = torch.exp(_interpolate(small, place) / clamped - clamped.log())
    return torch.where(shape >= 1.0, above.clamp_min(0.0) ** 3, below)


def gamma_from_normal(shape: Tensor, score: Tensor, uniform: Tensor) -> Tensor:
    r"""Gamma variables with mean one as continuous functions of their shapes.

    A draw moves by no more than rounding if its shape does, which draws by rejection do not promise. Below shape one
    the boost :math:`G(a) = G(a + 1)\, U^{1 / a}` is used.

    Parameters
    ----------
    shape
        Gamma shapes, any size, above zero.
    score, uniform
        A standard normal number, and one in [0, 1), for each shape.

    Examples
    --------
    >>> import torch
    >>> shape = torch.full((100_000,), 0.3)
    >>> generator = torch.Generator().manual_seed(0)
    >>> score, uniform = torch.randn(100_000, generator=generator), torch.rand(100_000, generator=generator)
    >>> draws = gamma_from_normal(shape, score, uniform)
    >>> round(float(draws.mean()), 1), round(float(draws.var() * 0.3), 1)
    (1.0, 1.0)
    """
    boosted = torch.where(shape < 1.0, shape + 1.0, shape)
    steep, score = boosted.rsqrt(), score.clamp(-FARTHEST, FARTHEST)
    table = torch.from_numpy(_draw_table()).to(shape)
    row, column = steep * (SHAPES - 1), (score + FARTHEST) * ((SCORES - 1) / (2.0 * FARTHEST))
    first, second = (part.long().clamp(0, size - 2) for part, size in ((row, SHAPES), (column, SCORES)))
    across, along = row - first, column - second
    flat, at = table.flatten(), first * SCORES + second
    upper = torch.lerp(flat[at], flat[at + 1], along)
    lower = torch.lerp(flat[at + SCORES], flat[at + SCORES + 1], along)
    root = _wilson_hilferty(steep, score) + torch.lerp(upper, lower, across)
    value = root.clamp_min(0.0) ** 3
    small = shape < 1.0
    if bool(small.any()):
        part, chance = shape[small], uniform[small].clamp_min(torch.finfo(shape.dtype).tiny)
        value[small] *= (part + 1.0) / part * torch.exp(chance.log() / part)
    return value


def _wilson_hilferty(steep: Tensor, score: Tensor | float) -> Tensor:
    """Cube root of a gamma variable with mean one, nearly; ``steep`` is the reciprocal root of its shape."""
    return 1.0 - steep.square() / 9.0 + steep * score / 3.0


def _interpolate(table: Tensor, place: Tensor) -> Tensor:
    """Values between the points of a table ``(points,)``."""
    first = place.long().clamp(0, len(table) - 2)
    return torch.lerp(table[first], table[first + 1], place - first)


@cache
def _quantile_tables(probability: float) -> tuple[np.ndarray, np.ndarray]:
    """Cube roots beyond Wilson and Hilferty for shapes above one; shape times log quantile for those below."""
    steep = np.linspace(0.0, 1.0, SHAPES)
    shape = steep[1:] ** -2.0
    exact = np.cbrt(special.gammaincinv(shape, probability) / shape)
    score = special.ndtri(probability)
    beyond = exact - (1.0 - steep[1:] ** 2 / 9.0 + steep[1:] * score / 3.0)
    shape = np.geomspace(LEAST, 1.0, SHAPES)
    quantile = special.gammaincinv(shape, probability)
    series = np.log(probability) + special.gammaln(shape + 1.0)  # P(a, q) is q^a / Gamma(a + 1) near zero
    small = np.where(quantile > 1e-12, shape * np.log(np.maximum(quantile, 1e-300)), series)
    return np.concatenate([[0.0], beyond]), small


@cache
def _draw_table() -> np.ndarray:
    """Cube roots of gamma variables with mean one beyond Wilson and Hilferty, ``(SHAPES, SCORES)``."""
    steep = np.linspace(0.0, 1.0, SHAPES)[1:, None]
    score = np.linspace(-FARTHEST, FARTHEST, SCORES)
    shape = steep**-2.0
    lower, upper = special.gammaincinv(shape, special.ndtr(score)), special.gammainccinv(shape, special.ndtr(-score))
    exact = np.cbrt(np.where(score < 0.0, lower, upper) / shape)
    beyond = exact - (1.0 - steep**2 / 9.0 + steep * score / 3.0)
    return np.concatenate([np.zeros((1, SCORES)), beyond])
