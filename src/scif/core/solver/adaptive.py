"""Adaptive integration by torchdiffeq."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scif._extras import require
from scif.core._precision import double_on

__all__ = ["integrate_adaptively"]


def integrate_adaptively(
    velocity: Callable[..., Tensor],
    x: Tensor,
    t_start: float,
    t_end: float,
    *,
    rtol: float,
    atol: float,
    condition: dict[str, Any],
) -> tuple[Tensor, int]:
    """State at ``t_end`` by Dormand-Prince steps of order 5, and the number of velocity evaluations."""
    # brings scipy's integrators along: only for those who use it
    odeint = require("torchdiffeq", extra="fluids", purpose="method='adaptive'").odeint

    count = 0
    low, high = min(t_start, t_end), max(t_start, t_end)

    def field(t: Tensor, state: Tensor) -> Tensor:
        nonlocal count
        count += 1
        # the trial step that sets the first step size may look past the end
        return velocity(state, t.clamp(low, high).to(state).expand(state.shape[0]), **condition)

    times = torch.tensor([t_start, t_end], dtype=double_on(x.device))
    options = {"step_t": times[1:].to(x.device), "dtype": times.dtype}  # the last step ends at t_end, not past it
    end: Tensor = odeint(field, x, times.to(x.device), rtol=rtol, atol=atol, method="dopri5", options=options)[-1]
    return end, count
