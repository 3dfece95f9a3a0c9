"""Calibration: do posterior draws cover what they should? (probability integral transform)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif.core._check import check_finite
from scif.core._precision import double_on

__all__ = ["Calibration", "calibration", "pit"]


@dataclass(frozen=True)
class Calibration:
    """Distribution of the probability integral transform, uniform for calibrated draws."""

    histogram: Tensor
    """Fraction of values in each of ten equal bins of [0, 1]."""
    coverage: Mapping[float, float]
    """Fraction of values inside the central interval of each nominal level."""
    distance: float
    """Kolmogorov-Smirnov distance from the uniform distribution."""
    verdict: Literal["calibrated", "too narrow", "too wide", "biased"]
    """Spread of the draws around the observed values."""
    message: str
    """Verdict in words."""


def pit(value: Tensor, draws: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Randomised probability integral transform: the rank of values among predictive draws.

    Parameters
    ----------
    value
        Observed values, ``(...)``: held-out counts, a second measurement, or the truth in a simulation.
    draws
        Predictive draws of it, ``(num_draws, ...)``.
    generator
        Random generator for breaking ties (counts).

    Returns
    -------
    Numbers in (0, 1), uniform if values and draws have the same distribution.
    """
    if draws.shape[1:] != value.shape or draws.shape[0] < 1:
        msg = f"draws have shape {tuple(draws.shape)}; pass (num_draws, *{tuple(value.shape)})."
        raise ValueError(msg)
    check_finite(value, name="value")
    check_finite(draws, name="draws")
    below = (draws < value).sum(0)
    ties = (draws == value).sum(0)
    device = generator.device if generator is not None else value.device
    spread = torch.rand(value.shape, generator=generator, device=device, dtype=double_on(device)).to(value.device)
    return (below + spread * (ties + 1)) / (draws.shape[0] + 1)


def calibration(
    value: Tensor,
    draws: Tensor,
    *,
    levels: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95),
    tolerance: float = 0.05,
    generator: torch.Generator | None = None,
) -> Calibration:
    """Compare values with predictive draws of them.

    Parameters
    ----------
    value
        Observed values, ``(...)``.
    draws
        Predictive draws of ``value``, ``(num_draws, ...)``.
    levels
        Nominal levels of central intervals.
    tolerance
        Kolmogorov-Smirnov distance, beyond sampling error, that still counts as calibrated.
    generator
        Random generator for ties.

    Examples
    --------
    >>> import torch
    >>> from scif.core.monitor import calibration
    >>> rng = torch.Generator().manual_seed(0)
    >>> value, draws = torch.randn(2000, generator=rng), torch.randn(100, 2000, generator=rng)
    >>> calibration(value, draws, generator=rng).verdict
    'calibrated'
    >>> calibration(value, 0.5 * draws, generator=rng).verdict
    'too narrow'
    """
    u = pit(value, draws, generator=generator).flatten()
    n = u.shape[0]
    histogram = torch.histc(u, bins=10, min=0.0, max=1.0) / n
    coverage = {level: float(((u - 0.5).abs() <= level / 2).float().mean()) for level in levels}
    ordered = u.sort().values
    steps = torch.arange(n + 1, device=u.device, dtype=u.dtype) / n
    distance = float(torch.maximum((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
    if distance <= tolerance + 1.36 / n**0.5:
        return Calibration(histogram, coverage, distance, "calibrated", f"calibrated: {_words(coverage)}.")
    # A shift moves the mean by more than a change of width moves the second moment about the middle.
    shift, width = float(u.mean()) - 0.5, float((u - 0.5).square().mean()) - 1.0 / 12.0
    if abs(shift) > 2.0 * abs(width):
        side = "low" if shift > 0 else "high"
        return Calibration(histogram, coverage, distance, "biased", f"draws lie too {side}: {_words(coverage)}.")
    verdict: Literal["too narrow", "too wide"] = "too narrow" if width > 0 else "too wide"
    return Calibration(histogram, coverage, distance, verdict, f"draws are {verdict}: {_words(coverage)}.")


def _words(coverage: Mapping[float, float]) -> str:
    return ", ".join(f"the {level:.0%} interval covers {share:.0%}" for level, share in coverage.items())
