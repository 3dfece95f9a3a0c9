"""Ensemble Kalman smoother: initial fields from an ensemble and its covariances, without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scif.fields.fluids.chain import as_channel, noise_free, noise_level

__all__ = ["ensemble_smoother"]


@torch.no_grad()
def ensemble_smoother(
    observed: Tensor,
    channel: Any,
    climatology: Tensor,
    *,
    sigma: float | None = None,
    passes: int = 4,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Estimate ensembles of initial fields by several passes of the ensemble Kalman smoother.

    Every member is updated by the covariance of initial fields with their observations. Each of the ``passes``
    assimilations has inflated noise, so that together they equal one assimilation. There is no localisation, so use at
    least as many members as the fields have modes.

    Parameters
    ----------
    observed
        Observations ``(n, ...)``.
    channel
        The flow with its observation and noise: a channel or a function.
    climatology
        Initial ensemble, ``(members, ...)``.
    sigma
        Same as for :func:`four_d_var`.
    passes
        Number of assimilations.
    generator
        Source of randomness.

    Returns
    -------
    Members ``(members, n, ...)``.

    References
    ----------
    Emerick and Reynolds, *Ensemble smoother with multiple data assimilation*, Computers & Geosciences 55 (2013).
    """
    channel = as_channel(channel)
    noise = (sigma or noise_level(channel) or 1e-3 * float(observed.std())) * passes**0.5
    found = []
    for one in observed.split(1):
        members = climatology
        for _ in range(passes):
            seen = noise_free(channel, members, one.expand(len(members), *one.shape[1:])).flatten(1)
            draws = torch.randn(seen.shape, generator=generator, dtype=seen.dtype)
            gap = one.flatten(1) + noise * draws - seen
            spread = (seen - seen.mean(0)) / (len(members) - 1) ** 0.5
            anomalies = (members - members.mean(0)).flatten(1) / (len(members) - 1) ** 0.5
            # in the space of members (Woodbury): no matrix is larger than the ensemble
            gram = spread @ spread.T / noise**2
            eye = torch.eye(len(members), dtype=seen.dtype)
            weights = torch.linalg.solve(eye + gram, spread @ gap.T / noise**2)
            members = members + (weights.T @ anomalies).reshape(members.shape)
        found.append(members)
    return torch.stack(found, 1)
