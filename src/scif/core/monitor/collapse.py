"""Collapse: does the signal survive, direction by direction?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif.core._check import check_finite, check_fraction, check_same_shape
from scif.core._precision import double
from scif.core.noise.base import NoiseModel

__all__ = ["Collapse", "CollapseWarning", "collapse"]


class CollapseWarning(UserWarning):
    """The clean estimates have lost variance that the observations contain."""


@dataclass(frozen=True)
class Collapse:
    """Surviving signal along each principal direction of the observations, all ``(directions,)``.

    Only ``detectable`` directions, whose signal exceeds the sampling error, count for the verdict.
    """

    ratio: Tensor
    """Variance of the re-noised estimates divided by that of the observations."""
    survival: Tensor
    """Variance of the signal in the estimates divided by that in the observations."""
    error: Tensor
    """Standard error of ``survival``."""
    detectable: Tensor
    """True where the observations have significant signal."""
    verdict: Literal["healthy", "collapsing", "inflating", "undecided"]
    """True if the estimates keep the variance of the signal."""
    message: str
    """Verdict in words."""

    def warn(self) -> None:
        """Issue a :class:`CollapseWarning` with the message if the run is collapsing."""
        if self.verdict == "collapsing":
            warnings.warn(self.message, CollapseWarning, stacklevel=2)


def collapse(
    x1: Tensor,
    x0: Tensor,
    noise: NoiseModel,
    *,
    directions: int = 10,
    threshold: float = 0.5,
    generator: torch.Generator | None = None,
) -> Collapse:
    r"""Compare re-noised clean estimates with the observations, variance by variance.

    If the estimates ``x0`` have the distribution of the clean signal, then re-noising them gives back the distribution
    of ``x1``. Two independent re-noisings of one estimate share only the signal. Along a direction, their covariance is
    therefore the variance of the signal, and the rest of their variance is noise. Subtracting this noise from the
    observed variance gives the expected signal. Directions are found on one half of the samples and tested on the other
    half, to avoid selection bias.

    Estimates must keep the distribution, as ``transport`` and ``sample`` do. Posterior means always have too little
    variance and would be called collapsing at a low signal-to-noise ratio.

    Parameters
    ----------
    x1
        Observations, ``(n, ...)``, at least 20.
    x0
        Clean estimates of the same observations in the same order.
    noise
        The channel.
    directions
        Number of principal directions.
    threshold
        Fraction of the signal's variance below which a direction counts as collapsing; above its inverse it counts as
        inflating.
    generator
        Random generator.

    Examples
    --------
    >>> import torch
    >>> from scif.core.monitor import collapse
    >>> from scif.core.noise import Gaussian
    >>> rng = torch.Generator().manual_seed(0)
    >>> x1 = 2.0 + 1.5 * torch.randn(2000, 3, generator=rng)
    >>> print(collapse(x1, torch.full_like(x1, 2.0), Gaussian(1.0), generator=rng).verdict)
    collapsing
    """
    check_same_shape(x1, x0, names=("x1", "x0"))
    check_finite(x1, name="x1")
    check_finite(x0, name="x0")
    check_fraction(threshold, name="threshold")
    if x1.shape[0] < 20:
        msg = f"x1 has {x1.shape[0]} samples; pass at least 20, so that a variance can be judged."
        raise ValueError(msg)
    with torch.no_grad():
        first, second = noise.sample(x0, generator=generator), noise.sample(x0, generator=generator)
        order = torch.randperm(x1.shape[0], generator=generator, device=generator.device if generator else None)
        find, judge = order.to(x1.device).tensor_split(2)
        axes = _principal_axes(double(x1[find].flatten(1)), directions)
        along = [_project(part[judge], axes) for part in (x1, first, second)]
    observed, renoised, again = along
    variance, error_observed = _covariance(observed, observed)
    total, _ = _covariance(renoised, renoised)
    signal, error_signal = _covariance(renoised, again)
    noise_variance = (total - signal).clamp_min(0.0)
    expected = variance - noise_variance
    detectable = expected > 3.0 * (error_observed**2 + error_signal**2).sqrt()
    safe = expected.clamp_min(torch.finfo(expected.dtype).tiny)
    survival = torch.where(detectable, signal / safe, torch.nan)
    error = torch.where(detectable, (error_signal**2 + (survival * error_observed) ** 2).sqrt() / safe, torch.nan)
    verdict, message = _judge(survival, error, detectable, threshold)
    return Collapse(total / variance.clamp_min(1e-300), survival, error, detectable, verdict, message)


def _principal_axes(x: Tensor, directions: int) -> Tensor:
    """Leading eigenvectors ``(entries, k)`` of the covariance, from whichever Gram matrix is smaller."""
    centred = x - x.mean(0)
    n, entries = centred.shape
    k = min(directions, n - 1, entries)
    if entries <= n:
        return torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -k:].flip(1)
    vectors = torch.linalg.eigh(centred @ centred.T).eigenvectors[:, -k:].flip(1)
    return torch.nn.functional.normalize(centred.T @ vectors, dim=0)


def _project(x: Tensor, axes: Tensor) -> Tensor:
    along = double(x.flatten(1)) @ axes
    return along - along.mean(0)


def _covariance(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance along each direction and its standard error, from the spread of the products."""
    product = a * b
    n = product.shape[0]
    return product.sum(0) / (n - 1), product.std(0) / n**0.5


def _judge(
    survival: Tensor, error: Tensor, detectable: Tensor, threshold: float
) -> tuple[Literal["healthy", "collapsing", "inflating", "undecided"], str]:
    count = int(detectable.sum())
    if count == 0:
        return "undecided", (
            f"none of {len(survival)} principal directions has signal above the sampling error; pass more samples."
        )
    low = torch.where(detectable, survival + 2.0 * error, torch.inf)
    high = torch.where(detectable, survival - 2.0 * error, -torch.inf)
    lost, inflated = int((low < threshold).sum()), int((high > 1.0 / threshold).sum())
    if lost:
        worst = int(low.argmin())
        return "collapsing", (
            f"this run is collapsing: {lost} of {count} principal directions with signal keep less than "
            f"{threshold:.0%} of its variance (direction {worst + 1} keeps {float(survival[worst].clamp_min(0)):.0%}). "
            "Take more time steps, or add an anchor (anchor_weight > 0)."
        )
    if inflated:
        worst = int(high.argmax())
        return "inflating", (
            f"{inflated} of {count} principal directions with signal have more than {1.0 / threshold:g} times its "
            f"variance (direction {worst + 1}: {float(survival[worst]):.2g} times): noise is left in the estimates. "
            "Train longer, or check the noise channel's parameters."
        )
    kept = float(survival[detectable].median())
    return "healthy", f"the signal survives: {kept:.0%} of its variance in the median of {count} directions."
