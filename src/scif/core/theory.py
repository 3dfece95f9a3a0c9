"""Effect of a time grid on a signal, in closed form: the linear-Gaussian case."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_positive

__all__ = ["linear_gaussian_slope", "linear_gaussian_survival"]


def linear_gaussian_slope(prior_variance: float | Tensor, grid: Tensor) -> Tensor:
    r"""Slope of the trained consistency function from the last to the first time of a grid.

    For ``x0 ~ N(0, q)`` and ``x1 = x0 + N(0, 1)`` on straight lines, the regression of each point on the next has a
    closed form, and the slope is a product: :math:`a = \prod_i (q + t_i t_{i+1}) / (q + t_{i+1}^2)`. The Euler solution
    of the trained velocity on the same grid has the same slope; on an infinitely fine grid from 0 to 1 it is
    :math:`\sqrt{q / (q + 1)}`.

    Parameters
    ----------
    prior_variance
        Variance ``q`` of the clean signal in units of the noise variance; any shape.
    grid
        Ascending times ``(num_steps + 1,)``.

    Returns
    -------
    Slopes of the shape of ``prior_variance``, in double precision.

    Examples
    --------
    >>> from scif.core.schedule import Uniform
    >>> from scif.core.theory import linear_gaussian_slope
    >>> round(linear_gaussian_slope(1.0, Uniform().grid(1)).item(), 6)  # one step: the posterior mean
    0.5
    """
    check_positive(prior_variance, name="prior_variance", strict=False)
    q = torch.as_tensor(prior_variance, dtype=torch.float64).unsqueeze(-1)
    times = grid.double()
    s, t = times[:-1], times[1:]
    return ((q + s * t) / (q + t**2)).prod(-1)


def linear_gaussian_survival(snr: float | Tensor, grid: Tensor, *, max_iterations: int = 10_000) -> Tensor:
    """Fraction of the signal's variance that survives inverse training on a grid, at its fixed point.

    One outer iteration maps the variance of the current clean estimates ``q`` to ``a(q)^2 (snr + 1)``, with ``a``
    from :func:`linear_gaussian_slope`. The map grows with ``q``, so iterating from the truth descends to the largest
    fixed point. On a coarse grid at a low signal-to-noise ratio that is zero: the signal is erased.

    Parameters
    ----------
    snr
        Variance of the signal over that of the noise; any shape.
    grid
        Ascending times ``(num_steps + 1,)``.
    max_iterations
        Maximum number of outer iterations. Near the collapse threshold they converge slowly, and the remaining error is
        about ``1 / max_iterations``.

    Examples
    --------
    >>> import torch
    >>> from scif.core.schedule import Uniform
    >>> from scif.core.theory import linear_gaussian_survival
    >>> survival = linear_gaussian_survival(torch.tensor([10.0, 1.0, 0.3]), Uniform().grid(10))
    >>> [round(share, 3) for share in survival.tolist()]
    [0.99, 0.863, 0.0]
    """
    check_positive(snr, name="snr")
    signal = torch.as_tensor(snr, dtype=torch.float64)
    q = signal
    for _ in range(max_iterations):
        update = linear_gaussian_slope(q, grid) ** 2 * (signal + 1.0)
        settled = torch.allclose(q, update, rtol=0.0, atol=1e-12)
        q = update
        if settled:
            break
    return q / signal
