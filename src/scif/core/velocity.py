"""Velocities of a flow, and their relation to predictions of the clean end."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from scif.core._call import call_network
from scif.core._check import batch_times, check_same_shape, expand_time
from scif.core.noise.base import NoiseModel
from scif.core.path import Affine, Coefficients, Linear
from scif.core.scaling import Scaling

__all__ = ["Velocity", "velocity_from_x0", "x0_from_velocity"]


class Velocity(nn.Module):
    r"""A network for the velocity of straight lines, scaled so that input and output are of order one.

    With :math:`s_t^2 = \sigma_d^2 + t^2 \sigma^2` and the mean :math:`m`,

    .. math:: v(x, t) = \frac{t \sigma^2}{s_t^2} (x - m)
              + \frac{\sigma \sigma_d}{s_t}\, \mathrm{net}\left(\frac{x - m}{s_t}, t\right).

    Without the network it is the exact velocity of Gaussian data with additive noise. The factor of the network is the
    standard deviation of the regression target around it.

    Parameters
    ----------
    net
        Network, called as ``net(x_scaled, t, **condition)`` with times ``(batch,)``. It returns the shape of its input,
        preferably zero before training.
    noise_scale
        Standard deviation of ``x1 - x0``; a number, or a tensor that broadcasts against one sample.
    data_scale
        Standard deviation of the clean signal.
    data_mean
        Mean of the clean signal.

    Examples
    --------
    >>> import torch
    >>> from scif.core import Velocity
    >>> from scif.nn import TimeMLP
    >>> v = Velocity(TimeMLP(2, hidden=16, depth=1), noise_scale=2.0, data_scale=1.0)
    >>> v(torch.ones(1, 2), 1.0)
    tensor([[0.8000, 0.8000]], grad_fn=<AddBackward0>)
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        noise_scale: float | Tensor = 1.0,
        data_scale: float | Tensor = 1.0,
        data_mean: float | Tensor = 0.0,
    ) -> None:
        super().__init__()
        self.net = net
        self.scaling = Scaling(data_mean=data_mean, data_scale=data_scale, noise_scale=noise_scale)

    @classmethod
    def calibrated(cls, net: nn.Module, x1: Tensor, noise: NoiseModel, *, per_feature: bool = False) -> Velocity:
        """Create a velocity with scales estimated from observations, see :meth:`Scaling.calibrated`."""
        scaling = Scaling.calibrated(x1, noise, per_feature=per_feature)
        return cls(net, noise_scale=scaling.noise_scale, data_scale=scaling.data_scale, data_mean=scaling.data_mean)

    def forward(self, x: Tensor, t: float | Tensor, **condition: Any) -> Tensor:
        """The velocity ``dx/dt`` at points ``x`` ``(batch, ...)`` and times in [0, 1], one or ``(batch,)``.

        Raises
        ------
        ValueError
            If times lie outside [0, 1], or if the network changes the shape of its input.
        """
        t = batch_times(t, x)
        out = call_network(self.net, self.scaling.normalize(x, t), t, **condition)
        check_same_shape(out, x, names=("the network's output", "x"))
        sigma, data = self.scaling.noise_scale.to(x.dtype), self.scaling.data_scale.to(x.dtype)
        noise, spread = self.scaling.noise_at(t, x), self.scaling.spread(t, x)
        drift = noise * sigma / spread.square() * (x - self.scaling.data_mean.to(x.dtype))
        return drift + sigma * data / spread * out.to(x.dtype)


def velocity_from_x0(x_t: Tensor, x0: Tensor, t: float | Tensor, *, path: Affine | None = None) -> Tensor:
    """Convert a prediction of the clean end to the velocity at ``x_t``: ``(x_t - x0) / t`` on straight lines.

    Parameters
    ----------
    x_t
        Points ``(batch, ...)``.
    x0
        Predicted clean ends of the same shape. A posterior mean gives the marginal velocity.
    t
        Times in (0, 1], one or ``(batch,)``.
    path
        An affine path without latent noise; default straight lines.

    Raises
    ------
    ValueError
        If the point at some time contains no information about the observed end (time 0, for every path).
    TypeError
        If the path has latent noise.
    """
    check_same_shape(x_t, x0, names=("x_t", "x0"))
    t, c = _coefficients(x_t, t, path)
    _check_nonzero(c.beta, t, "velocity_from_x0")
    x1 = (x_t - expand_time(c.alpha, x_t) * x0) / expand_time(c.beta, x_t)
    return expand_time(c.d_alpha, x_t) * x0 + expand_time(c.d_beta, x_t) * x1


def x0_from_velocity(x_t: Tensor, v: Tensor, t: float | Tensor, *, path: Affine | None = None) -> Tensor:
    """Convert a velocity to the clean end, ``x_t - t v`` on straight lines; the inverse of :func:`velocity_from_x0`.

    Parameters
    ----------
    x_t
        Points ``(batch, ...)``.
    v
        Velocities at the points, with the same shape.
    t
        Times in [0, 1], one or ``(batch,)``.
    path
        An affine path without latent noise; default straight lines.

    Raises
    ------
    ValueError
        If point and velocity at some time do not determine the clean end (never on straight lines).
    TypeError
        If the path has latent noise.

    Examples
    --------
    >>> import torch
    >>> from scif.core import velocity_from_x0, x0_from_velocity
    >>> x_t, x0 = torch.tensor([[3.0]]), torch.tensor([[1.0]])
    >>> v = velocity_from_x0(x_t, x0, 0.5)
    >>> v.item(), x0_from_velocity(x_t, v, 0.5).item()
    (4.0, 1.0)
    """
    check_same_shape(x_t, v, names=("x_t", "v"))
    t, c = _coefficients(x_t, t, path)
    determinant = c.d_alpha * c.beta - c.alpha * c.d_beta
    _check_nonzero(determinant, t, "x0_from_velocity")
    numerator = expand_time(c.beta, x_t) * v - expand_time(c.d_beta, x_t) * x_t
    return numerator / expand_time(determinant, x_t)


def _coefficients(x: Tensor, t: float | Tensor, path: Affine | None) -> tuple[Tensor, Coefficients]:
    path = Linear() if path is None else path
    times = batch_times(t, x)
    c = path.coefficients(times)
    if c.gamma is not None:
        msg = f"{type(path).__name__} has latent noise, so that velocity and x0 do not determine each other."
        raise TypeError(msg)
    return times, c


def _check_nonzero(factor: Tensor, t: Tensor, what: str) -> None:
    if bool((factor == 0).any()):
        msg = f"{what} is undefined at t = {float(t[factor == 0][0]):g} on this path; take later times."
        raise ValueError(msg)
