"""The posterior mean: the estimate of least squared error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_finite, check_fraction
from scif.core.estimator.base import Estimate
from scif.core.noise import Gaussian, NoiseModel

__all__ = ["mean"]


@torch.no_grad()
def mean(
    head: nn.Module,
    x1: Tensor,
    *,
    noise: NoiseModel | None = None,
    num_splits: int = 0,
    fraction: float = 0.8,
    num_probes: int = 0,
    generator: torch.Generator | None = None,
    **condition: Any,
) -> Estimate:
    r"""Posterior mean of the clean signal, from a head trained for it by ``Denoise``, ``Anchor`` or their sum.

    A head that was trained only with an anchor has seen only parts of observations. With ``num_splits`` it gets random
    parts again, and its predictions are averaged. They share the observation but not the split, so the average is
    better than each prediction.

    Under white Gaussian noise the posterior variance is the slope of the mean, :math:`\sigma^2 \partial h_i / \partial
    x_i` (the second-order Tweedie formula); ``num_probes`` random directions estimate it for all entries at once. For
    other channels, get the uncertainty from :func:`~scif.core.estimator.sample`.

    Parameters
    ----------
    head
        Head, called as ``head(x1, 1, **condition)``.
    x1
        Observations, ``(batch, ...)``.
    noise
        The channel; required for splits. If given, the result is projected into its support.
    num_splits
        Number of splits to average over; 0 uses the observation itself.
    fraction
        Fraction of the observation in each visible part, as in training.
    num_probes
        Number of random directions for the standard deviation; 0 omits it.
    generator
        Random generator for splits and probes.
    **condition
        Passed to the head.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, mean
    >>> from scif.nn import TimeMLP
    >>> estimate = mean(ConsistencyFunction(TimeMLP(2), skip="mean"), torch.ones(1, 2))  # untrained: Gaussian data
    >>> round(estimate.value[0, 0].item(), 3), estimate.kind
    (0.5, 'mean')
    """
    check_finite(x1, name="x1")

    def call(x: Tensor) -> Tensor:
        value = head(x, x.new_ones(x.shape[0]), **condition)
        return value if noise is None else noise.support_x0.project(value)

    if num_splits < 0 or (num_splits > 0 and noise is None):
        msg = f"num_splits is {num_splits} and noise {noise}; splits need the channel and a number of at least 1."
        raise ValueError(msg)
    std = _tweedie_std(call, x1, noise, num_probes, generator) if num_probes else None
    if noise is None or num_splits == 0:
        return Estimate(call(x1), std, "mean")
    check_fraction(fraction)
    total = torch.zeros_like(x1)
    for _ in range(num_splits):
        total += call(noise.split(x1, fraction, generator=generator).a / fraction)
    return Estimate(total / num_splits, std, "mean")


def _tweedie_std(
    head: Callable[[Tensor], Tensor],
    x1: Tensor,
    noise: NoiseModel | None,
    num_probes: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Standard deviations from Hutchinson's estimate of the diagonal of the head's Jacobian."""
    if not (isinstance(noise, Gaussian) and noise.elementwise):
        msg = (
            f"noise is {noise}, but slopes give standard deviations of white Gaussian noise only; use sample() instead."
        )
        raise TypeError(msg)
    diagonal = torch.zeros_like(x1)
    for _ in range(num_probes):
        signs = torch.randint(2, x1.shape, device=x1.device, generator=generator).to(x1.dtype) * 2.0 - 1.0
        diagonal += signs * torch.func.jvp(head, (x1,), (signs,))[1]
    return noise.parameter_for("sigma", x1) * (diagonal / num_probes).clamp_min(0.0).sqrt()
