"""Strong-constraint variational assimilation: initial states by gradients through the solver."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.core.noise import NoiseModel
from scif.fields.fluids.chain import as_channel, lift, noise_free, noise_level
from scif.fields.fluids.wiener import shell_power, shells

__all__ = ["four_d_var"]


def four_d_var(
    observed: Tensor,
    channel: Any,
    climatology: Tensor,
    *,
    start: Tensor | None = None,
    sigma: float | None = None,
    iterations: int = 60,
    memory: int = 8,
) -> Tensor:
    r"""Estimate initial fields that agree with observations and with the expected spectrum (4D-Var).

    The function minimises :math:`|z|^2 / 2 + |x_1 - H(B^{1/2} z)|^2 / (2 \sigma^2)` over the whitened initial field
    ``z`` by L-BFGS through the simulator ``H``. Every sample has its own steps. ``B`` is the isotropic spectrum of a
    climatology. A step that does not lower a sample's objective is halved until it does.

    Parameters
    ----------
    observed
        Observations ``(n, ...)``; gaps of :class:`Gaps` are ignored.
    channel
        The differentiable flow with its observation and noise: a channel or a function.
    climatology
        Fields ``(m, ...)`` like the unknown ones, which define the spectrum.
    start
        Initial guess; default zero.
    sigma
        Standard deviation of the noise. By default that of the channel or, without noise, a thousandth of the standard
        deviation of the observations.
    iterations
        Iterations of L-BFGS.
    memory
        Number of steps that L-BFGS uses for the curvature.

    Returns
    -------
    Initial fields ``(n, ...)``.

    References
    ----------
    Le Dimet and Talagrand, *Variational algorithms for analysis and assimilation of meteorological observations*,
    Tellus A 38 (1986); Nocedal and Wright, *Numerical optimization*, Springer 2006, algorithm 7.4.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import four_d_var, laminar, relative_l2
    >>> pairs = laminar(cutoff=3).draw(8, 16, generator=torch.Generator().manual_seed(0))
    >>> found = four_d_var(pairs.final[:2], laminar().channel, pairs.initial[2:], iterations=15)
    >>> bool((relative_l2(found, pairs.initial[:2]) < 0.2).all())
    True
    """
    channel = as_channel(channel)
    noise = sigma or noise_level(channel) or 1e-3 * float(observed.std())
    check_positive(noise, name="sigma")
    problem = _Problem(observed, channel, noise, shell_power(climatology).sqrt())
    field = torch.zeros_like(lift(channel, observed).field) if start is None else start
    z = problem.whiten(field)
    value, gradient = problem.evaluate(z)
    steps: list[Tensor] = []
    turns: list[Tensor] = []
    for _ in range(iterations):
        direction = _direction(gradient, steps[-memory:], turns[-memory:])
        if not steps:  # the first step has no curvature to go by
            direction = direction / _norm(direction).clamp_min(1.0)
        trial, new, new_gradient = _search(problem, z, value, gradient, direction)
        steps.append(trial - z)
        turns.append(new_gradient - gradient)
        z, value, gradient = trial, new, new_gradient
    return problem.colour(z)


class _Problem:
    """The objective of each sample, and the change of variables."""

    def __init__(self, observed: Tensor, channel: NoiseModel, sigma: float, amplitude: Tensor) -> None:
        self.observed, self.channel, self.sigma, self.amplitude = observed, channel, sigma, amplitude

    def _amplitudes(self, like: Tensor) -> Tensor:
        index = shells(like)
        return torch.where(index < len(self.amplitude), self.amplitude[index.clamp_max(len(self.amplitude) - 1)], 0)

    def colour(self, z: Tensor) -> Tensor:
        """Fields of whitened ones."""
        return torch.fft.irfft2(torch.fft.rfft2(z) * self._amplitudes(z), s=z.shape[-2:])

    def whiten(self, field: Tensor) -> Tensor:
        """Whitened fields; shells that the climatology lacks are left out."""
        amplitude = self._amplitudes(field)
        known = amplitude > 1e-6 * amplitude.max()
        inverse = torch.where(known, 1 / amplitude.clamp_min(1e-30), 0)
        return torch.fft.irfft2(torch.fft.rfft2(field) * inverse, s=field.shape[-2:])

    @torch.enable_grad()
    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Objective ``(n,)`` and its gradient."""
        z = z.detach().requires_grad_()
        misfit = (noise_free(self.channel, self.colour(z), self.observed) - self.observed) / self.sigma
        value = 0.5 * (misfit.square().flatten(1).sum(1) + z.square().flatten(1).sum(1))
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient


def _search(
    problem: _Problem, z: Tensor, value: Tensor, gradient: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The longest of six halved steps of each sample that lowers its objective; none where no one does."""
    found, new, new_gradient = z, value, gradient
    length = torch.ones_like(value)
    slope = _dot(direction, gradient)
    open_ = slope < 0
    for _ in range(6):
        trial = z + _wide(length * open_, z) * direction
        try_value, try_gradient = problem.evaluate(trial)
        better = open_ & (try_value < value + 1e-4 * length * slope)
        found = torch.where(_wide(better, z), trial, found)
        new_gradient = torch.where(_wide(better, z), try_gradient, new_gradient)
        new = torch.where(better, try_value, new)
        open_ = open_ & ~better
        if not bool(open_.any()):
            break
        length = length / 2
    return found, new, new_gradient


def _direction(gradient: Tensor, steps: list[Tensor], turns: list[Tensor]) -> Tensor:
    """Minus the gradient times the inverse Hessian as the last steps tell it (two-loop recursion)."""
    q = gradient
    kept = []
    for s, y in zip(reversed(steps), reversed(turns), strict=True):
        curvature = _dot(s, y)
        weight = torch.where(curvature > 1e-12, 1 / curvature.clamp_min(1e-12), 0)
        share = weight * _dot(s, q)
        q = q - _wide(share, q) * y
        kept.append((s, y, weight, share))
    if steps:
        s, y = steps[-1], turns[-1]
        curvature = _dot(s, y)
        q = q * _wide(torch.where(curvature > 1e-12, curvature / _dot(y, y).clamp_min(1e-30), 1e-3), q)
    for s, y, weight, share in reversed(kept):
        q = q + _wide(share - weight * _dot(y, q), q) * s
    return -q


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _norm(a: Tensor) -> Tensor:
    return _wide(_dot(a, a).sqrt(), a)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
