"""Steps of equal kinetic length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.core._precision import double
from scif.core.schedule.base import Schedule

__all__ = ["KineticOptimal"]


class KineticOptimal(Schedule):
    r"""Steps over which the mean flow moves equally far: constant speed, the time change with the least kinetic energy.

    On a straight line with additive noise the mean squared speed of the marginal flow, per entry and in units of the
    noise variance, is :math:`1 - \mathrm{snr}\,(1 - \lambda(t)) / t^2`. The data-separation function :math:`\lambda(t)`
    is the fraction of the signal's variance that the noisy point at time ``t`` still determines, :math:`1 - E\|x_0 -
    E[x_0 | x_t]\|^2 / E\|x_0 - E x_0\|^2`.

    Parameters
    ----------
    separation
        The data-separation function: maps times in (0, 1] to numbers in [0, 1], entry by entry.
    snr
        Variance of the signal over that of the noise.

    References
    ----------
    Shaul et al., "On kinetic optimal probability paths for generative models", ICML 2023, for the data-separation
    function; there it chooses the path, here the pace on a straight line.

    Examples
    --------
    >>> from scif.core.schedule import KineticOptimal
    >>> [round(t, 3) for t in KineticOptimal.gaussian(snr=1.0).grid(2).tolist()]  # arc length sqrt(1 + t^2) - 1
    [0.0, 0.676, 1.0]
    """

    def __init__(self, separation: Callable[[Tensor], Tensor], *, snr: float) -> None:
        check_positive(snr, name="snr")
        self.separation, self.snr = separation, float(snr)

    @classmethod
    def gaussian(cls, snr: float) -> KineticOptimal:
        """The schedule of a Gaussian signal, whose separation is ``snr / (snr + t^2)``."""
        return cls(partial(_gaussian_separation, snr=snr), snr=snr)

    @classmethod
    def from_samples(
        cls, x0: Tensor, *, noise_scale: float, num_times: int = 33, generator: torch.Generator | None = None
    ) -> KineticOptimal:
        """Measure the data-separation function on clean samples (or current clean estimates).

        The posterior mean is computed under the empirical distribution of the samples with Gaussian noise. The cost is
        quadratic in the number of samples; a few hundred are enough.

        Parameters
        ----------
        x0
            Samples ``(n, ...)``, at least two different ones.
        noise_scale
            Standard deviation of the noise at time 1, on the scale of the data.
        num_times
            Number of times in (0, 1] at which the function is measured; it is linear in between.
        generator
            Source of the noise.
        """
        check_positive(noise_scale, name="noise_scale")
        points = double(x0.detach().flatten(1))
        variance = float(points.var(0, correction=0).mean())
        check_positive(variance, name="variance of x0")
        times = torch.linspace(0.0, 1.0, num_times + 1, dtype=torch.float64, device=points.device)[1:]
        noise = double(torch.randn(points.shape, dtype=x0.dtype, device=x0.device, generator=generator))
        shares = []
        for t in times:
            scale = t * noise_scale
            log_weights = -0.5 * (torch.cdist(points + scale * noise, points) / scale).square()
            error = (log_weights.softmax(1) @ points - points).square().mean()
            shares.append(1.0 - error / variance)
        separation = partial(_interpolate, xs=times.cpu(), ys=torch.stack(shares).cpu())
        return cls(separation, snr=variance / noise_scale**2)

    def inner_times(self, num_steps: int) -> Tensor:
        """Times at equal fractions of the arc length."""
        mesh = torch.linspace(0.0, 1.0, 4097, dtype=torch.float64)
        middle = 0.5 * (mesh[1:] + mesh[:-1])
        speed = (1.0 - self.snr * (1.0 - self.separation(middle)) / middle**2).clamp(0.0, 1.0).sqrt()
        length = torch.cat([torch.zeros(1, dtype=torch.float64), speed.cumsum(0)])
        check_positive(length[-1], name="arc length of the flow")
        share = torch.arange(1, num_steps, dtype=torch.float64) / num_steps
        return _interpolate(share * length[-1], xs=length, ys=mesh)


def _gaussian_separation(t: Tensor, snr: float) -> Tensor:
    return snr / (snr + t**2)


def _interpolate(x: Tensor, *, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear function through ``(xs, ys)``, constant outside."""
    upper = torch.searchsorted(xs, x).clamp(1, xs.shape[0] - 1)
    left, right = xs[upper - 1], xs[upper]
    share = ((x - left) / (right - left)).clamp(0.0, 1.0)
    return ys[upper - 1] + share * (ys[upper] - ys[upper - 1])
