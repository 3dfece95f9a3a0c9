"""Drawing neighbouring times from a grid, and weighing the loss there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Interval", "draw_interval", "loss_weight"]


@dataclass(frozen=True)
class Interval:
    """Neighbouring times of a grid."""

    s: Tensor
    """Lower ends, ``(batch,)``."""
    t: Tensor
    """Upper ends."""


def draw_interval(
    grid: Tensor,
    batch: int,
    *,
    weights: Tensor | Literal["uniform", "length", "lognormal"] | None = None,
    generator: torch.Generator | None = None,
) -> Interval:
    """Draw one interval of a grid for each sample.

    Parameters
    ----------
    grid
        Ascending times ``(num_steps + 1,)`` in [0, 1].
    batch
        Number of intervals to draw.
    weights
        Relative frequency of each interval ``(num_steps,)``, or a name: ``"uniform"`` (default; all equal),
        ``"length"`` (proportional to length, so times are uniform) or ``"lognormal"`` (the probability mass of a
        log-normal time with parameters -1.2 and 1.2, as in Karras et al. (2022), table 1).
    generator
        Random generator, on the device of ``grid``.

    Returns
    -------
    Lower and upper ends in the dtype and on the device of ``grid``.

    Raises
    ------
    ValueError
        If the grid does not ascend within [0, 1], or the weights do not match it.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import Uniform, draw_interval
    >>> interval = draw_interval(Uniform().grid(4), 3, weights=torch.tensor([0.0, 0.0, 1.0, 0.0]))
    >>> interval.s.tolist(), interval.t.tolist()
    ([0.5, 0.5, 0.5], [0.75, 0.75, 0.75])
    """
    _check_grid(grid)
    if weights is None or (isinstance(weights, str) and weights == "uniform"):
        index = torch.randint(grid.shape[0] - 1, (batch,), device=grid.device, generator=generator)
    else:
        mass = _mass(grid, weights)
        index = torch.multinomial(mass, batch, replacement=True, generator=generator)
    return Interval(grid[index], grid[index + 1])


def loss_weight(interval: Interval, kind: Literal["constant", "inverse_step"] = "inverse_step") -> Tensor:
    """Weight ``(batch,)`` of the loss at each interval.

    Parameters
    ----------
    interval
        Times at which the loss is taken.
    kind
        ``"constant"`` is 1, and ``"inverse_step"`` is ``1 / (t - s)``, as published.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import Interval, loss_weight
    >>> loss_weight(Interval(torch.tensor([0.5]), torch.tensor([0.75]))).tolist()
    [4.0]
    """
    if kind == "constant":
        return torch.ones_like(interval.t)
    if kind == "inverse_step":
        return 1.0 / (interval.t - interval.s)
    msg = f"kind is {kind!r}; choose 'constant' or 'inverse_step'."
    raise ValueError(msg)


def _check_grid(grid: Tensor) -> None:
    if torch.compiler.is_compiling():
        return
    if grid.ndim != 1 or grid.shape[0] < 2 or not bool((grid.diff() > 0).all()) or grid[0] < 0 or grid[-1] > 1:
        msg = f"grid is {grid.tolist()}; pass at least two strictly ascending times in [0, 1]."
        raise ValueError(msg)


def _mass(grid: Tensor, weights: Tensor | str) -> Tensor:
    """Relative frequency of each interval."""
    if isinstance(weights, Tensor):
        if weights.shape != (grid.shape[0] - 1,):
            msg = f"weights have shape {tuple(weights.shape)}; pass one per interval, shape ({grid.shape[0] - 1},)."
            raise ValueError(msg)
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or float(weights.sum()) <= 0:
            msg = f"weights are {weights.tolist()}; they must be finite, not negative, and not all zero."
            raise ValueError(msg)
        return weights.to(grid.device)
    if weights == "length":
        return grid.diff()
    if weights == "lognormal":
        return torch.erf((grid.log() + 1.2) / (1.2 * math.sqrt(2.0))).diff()
    msg = f"weights is {weights!r}; choose 'uniform', 'length' or 'lognormal', or pass a tensor."
    raise ValueError(msg)
