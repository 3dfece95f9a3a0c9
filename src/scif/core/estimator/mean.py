"""The posterior mean: the estimate of least squared error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_fraction
from scif.core.estimator.base import Estimate
from scif.core.noise.base import NoiseModel

__all__ = ["mean"]


@torch.no_grad()
def mean(
    head: nn.Module,
    x1: Tensor,
    *,
    noise: NoiseModel | None = None,
    num_splits: int = 0,
    fraction: float = 0.8,
    generator: torch.Generator | None = None,
    **condition: Any,
) -> Estimate:
    r"""Posterior mean of the clean signal, from a head trained for it by ``Denoise``, ``Anchor`` or their sum.

    A head that was trained by an anchor alone has only seen parts of observations: with ``num_splits`` it is shown
    random parts again, and its answers are averaged. They share the observation but not the split, so that the
    average is better than each.

    Parameters
    ----------
    head
        Called ``head(x1, 1, **condition)``.
    x1
        Observations, ``(batch, ...)``.
    noise
        The channel; needed for splits. If given, the result is brought into its support.
    num_splits
        Number of splits to average over; 0 shows the observation itself.
    fraction
        Share of the observation in each visible part, as in training.
    generator
        Source of randomness for splits.
    **condition
        Passed on to the head.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, mean
    >>> from scif.nn import TimeMLP
    >>> estimate = mean(ConsistencyFunction(TimeMLP(2), skip="mean"), torch.ones(1, 2))  # untrained: Gaussian data
    >>> round(estimate.value[0, 0].item(), 3), estimate.kind
    (0.5, 'mean')
    """

    def call(x: Tensor) -> Tensor:
        value = head(x, x.new_ones(x.shape[0]), **condition)
        return value if noise is None else noise.support_x0.project(value)

    if num_splits == 0:
        return Estimate(call(x1), None, "mean")
    if noise is None or num_splits < 0:
        msg = f"num_splits is {num_splits} and noise {noise}; splits need the channel and a number of at least 1."
        raise ValueError(msg)
    check_fraction(fraction)
    total = torch.zeros_like(x1)
    for _ in range(num_splits):
        total += call(noise.split(x1, fraction, generator=generator).a / fraction)
    return Estimate(total / num_splits, None, "mean")
