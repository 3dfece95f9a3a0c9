"""Stochastic interpolants: any schedules between the ends, and latent noise on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from scif.core.path.affine import Affine, Coefficients

__all__ = ["StochasticInterpolant"]

TimeFunction = Callable[[Tensor], Tensor]


class StochasticInterpolant(Affine):
    r"""A stochastic interpolant :math:`x_t = \alpha(t) x_0 + \beta(t) x_1 + \gamma(t) z`, ``z`` standard normal.

    Latent noise (``gamma > 0`` inside the interval) smooths the intermediate distributions; both ends stay exact. Both
    points of a pair share the same ``z``. Schedules map times ``(batch,)`` to weights ``(batch,)``; automatic
    differentiation gives their slopes.

    Parameters
    ----------
    alpha
        Weight of the clean end: 1 at time 0 and 0 at time 1.
    beta
        Weight of the observed end: 0 at time 0 and 1 at time 1.
    gamma
        Weight of the latent noise: 0 at both ends, with finite slope there. Default no latent noise.

    Raises
    ------
    ValueError
        If a schedule has a wrong value or an infinite slope at an end.

    References
    ----------
    Albergo, Boffi and Vanden-Eijnden, "Stochastic interpolants", arXiv 2303.08797, section 2.

    Examples
    --------
    >>> import torch
    >>> from scif.core.path import StochasticInterpolant
    >>> path = StochasticInterpolant(lambda t: 1 - t**2, lambda t: t**2)
    >>> point = path.sample(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([0.5]))
    >>> point.x_t.item(), point.u_t.item()
    (0.25, 1.0)
    """

    def __init__(self, alpha: TimeFunction, beta: TimeFunction, gamma: TimeFunction | None = None) -> None:
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        _check_ends(alpha, "alpha", (1.0, 0.0))
        _check_ends(beta, "beta", (0.0, 1.0))
        if gamma is not None:
            _check_ends(gamma, "gamma", (0.0, 0.0))

    @classmethod
    def linear(cls, gamma: float = 1.0) -> StochasticInterpolant:
        """Straight lines with latent noise of standard deviation ``gamma t (1 - t)``."""
        return cls(_falling, _rising, partial(_bump, height=gamma))

    @classmethod
    def trigonometric(cls, gamma: float = 1.0) -> StochasticInterpolant:
        """Quarter circles, which keep the variance of independent ends, with latent noise ``gamma t (1 - t)``."""
        return cls(_cosine, _sine, partial(_bump, height=gamma))

    def coefficients(self, t: Tensor) -> Coefficients:
        """The schedules and their slopes."""
        alpha, d_alpha = _value_and_slope(self.alpha, t)
        beta, d_beta = _value_and_slope(self.beta, t)
        gamma, d_gamma = (None, None) if self.gamma is None else _value_and_slope(self.gamma, t)
        return Coefficients(alpha, beta, d_alpha, d_beta, gamma, d_gamma)


# Named functions rather than lambdas, so that the presets can be saved with a model.
def _falling(t: Tensor) -> Tensor:
    return 1.0 - t


def _rising(t: Tensor) -> Tensor:
    return 1.0 * t


def _cosine(t: Tensor) -> Tensor:
    return torch.sin(math.pi / 2.0 * (1.0 - t))  # exactly zero at t = 1, which cos is not


def _sine(t: Tensor) -> Tensor:
    return torch.sin(math.pi / 2.0 * t)


def _bump(t: Tensor, height: float) -> Tensor:
    return height * t * (1.0 - t)


def _value_and_slope(f: TimeFunction, t: Tensor) -> tuple[Tensor, Tensor]:
    out = torch.func.jvp(f, (t,), (torch.ones_like(t),))
    return out[0], out[1]


def _check_ends(f: TimeFunction, name: str, wanted: tuple[float, float]) -> None:
    value, slope = _value_and_slope(f, torch.tensor([0.0, 1.0], dtype=torch.float64))
    start, end = value.tolist()
    if not (abs(start - wanted[0]) < 1e-6 and abs(end - wanted[1]) < 1e-6):
        msg = f"{name} is {start:g} at t=0 and {end:g} at t=1; it must be {wanted[0]:g} and {wanted[1]:g}."
        raise ValueError(msg)
    if not bool(torch.isfinite(slope).all()):
        msg = f"{name} has slopes {slope.tolist()} at t=0 and t=1; velocities need finite slopes, as t (1 - t) has."
        raise ValueError(msg)
