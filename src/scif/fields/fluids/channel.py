"""A simulated flow as a channel: the clean signal is the initial field, the observation the final one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scif.core._check import check_positive, check_same_shape, check_whole
from scif.core.noise.base import Moments, NoDensity, NoiseModel
from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["NavierStokesChannel"]


class NavierStokesChannel(NoiseModel):
    """Channel that returns the field after ``duration``, deterministic or with white measurement noise.

    The flow is injective on the modes that the grid resolves, so observations determine the initial fields. But
    viscosity reduces a mode of wavenumber ``k`` by ``exp(-viscosity k^2 duration)``, and modes below the noise or the
    floating point precision are lost.

    Parameters
    ----------
    solver
        The equations.
    duration
        Time between the clean and the observed field, one number or one per sample ``(batch,)``.
    sigma
        Standard deviation of the measurement noise at every point.
    steps
        Number of time steps; by default chosen from the speed of the flow.

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import NavierStokes2D, NavierStokesChannel, energy, random_vorticity
    >>> channel = NavierStokesChannel(NavierStokes2D(viscosity=0.01), duration=0.5)
    >>> x0 = random_vorticity(2, 32, generator=torch.Generator().manual_seed(0))
    >>> bool((energy(channel.sample(x0)) < energy(x0)).all())
    True
    """

    unbiased = False
    elementwise = False

    def __init__(
        self, solver: NavierStokes2D, duration: float | Tensor, *, sigma: float = 0.0, steps: int | None = None
    ) -> None:
        super().__init__()
        if not isinstance(solver, NavierStokes2D):
            msg = f"solver is {solver!r}; pass a NavierStokes2D."
            raise TypeError(msg)
        steps = None if steps is None else check_whole(steps, name="steps")
        check_positive(duration, name="duration")
        check_positive(sigma, name="sigma", strict=False)
        self.solver = solver
        self.duration: float | Tensor
        if isinstance(duration, Tensor):
            self.register_buffer("duration", duration)
        else:
            self.duration = float(duration)
        self.sigma = float(sigma)
        self.deterministic = self.sigma == 0.0
        self.steps = steps

    def rescaled(self, scale: float) -> NavierStokesChannel:
        """The same channel in units in which vorticities are ``scale`` times smaller."""
        solver = self.solver.rescaled(scale)
        return NavierStokesChannel(solver, self.duration * scale, sigma=self.sigma / scale, steps=self.steps)

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw final fields for initial fields ``(batch, ..., height, width)``; differentiable."""
        final = self.solver.solve(x0, self.duration, steps=self.steps)
        if self.sigma == 0.0:
            return final
        return final + self.sigma * torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)

    def moments(self, x0: Tensor) -> Moments:
        """The noise-free final field, and the variance of the measurement noise."""
        final = self.solver.solve(x0, self.duration, steps=self.steps)
        return Moments(final, torch.full_like(final, self.sigma**2))

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """Log density of the final fields, point by point, if they are noisy.

        Raises
        ------
        NoDensity
            If ``sigma`` is zero.
        """
        if self.sigma == 0.0:
            msg = "a flow without measurement noise (sigma=0) has no density; compare final fields instead."
            raise NoDensity(msg)
        check_same_shape(x1, x0, names=("x1", "x0"))
        z = (x1 - self.moments(x0).mean) / self.sigma
        return -0.5 * (z.square() + math.log(2 * math.pi * self.sigma**2))
