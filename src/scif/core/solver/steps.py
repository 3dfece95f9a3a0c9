"""Single steps of fixed size, by order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["STEPS", "Scheme"]

Velocity = Callable[..., Tensor]


@dataclass(frozen=True)
class Scheme:
    """One step ``advance(velocity, x, t, t_next, condition)`` and how often it evaluates the velocity."""

    advance: Callable[[Velocity, Tensor, Tensor, Tensor, dict[str, Any]], Tensor]
    evaluations: int


def euler_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor, condition: dict[str, Any]) -> Tensor:
    """Follow the velocity at the start (order 1)."""
    return x + (t_next - t) * velocity(x, t.expand(x.shape[0]), **condition)


def midpoint_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor, condition: dict[str, Any]) -> Tensor:
    """Follow the velocity at the middle, reached by half an Euler step (order 2)."""
    middle = 0.5 * (t + t_next)
    half = euler_step(velocity, x, t, middle, condition)
    return x + (t_next - t) * velocity(half, middle.expand(x.shape[0]), **condition)


def heun_step(velocity: Velocity, x: Tensor, t: Tensor, t_next: Tensor, condition: dict[str, Any]) -> Tensor:
    """Follow the mean of the velocities at the start and at the end of an Euler step (order 2)."""
    at_start = velocity(x, t.expand(x.shape[0]), **condition)
    at_end = velocity(x + (t_next - t) * at_start, t_next.expand(x.shape[0]), **condition)
    return x + (t_next - t) * 0.5 * (at_start + at_end)


STEPS = {"euler": Scheme(euler_step, 1), "midpoint": Scheme(midpoint_step, 2), "heun": Scheme(heun_step, 2)}
