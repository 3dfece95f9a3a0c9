"""Result of an estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """Clean signals, with their uncertainty if it is available.

    ``value`` is ``(batch, ...)``, for draws ``(num_draws, batch, ...)``; ``std`` is the posterior standard deviation
    of each entry ``(batch, ...)``, or None. ``kind`` says what the value is:

    - ``"transport"`` keeps the distribution (variances, correlations, zero fractions), but does not have the lowest
      error;
    - ``"mean"`` has the lowest mean squared error; its variance is below that of the signal;
    - ``"sample"`` are draws from the posterior: they have the right distribution, and their spread is the uncertainty.
    """

    value: Tensor
    std: Tensor | None
    kind: Literal["transport", "mean", "sample"]
