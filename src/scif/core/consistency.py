"""Consistency functions: from any point of a path to its clean end in one call."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from scif.core._call import call_network
from scif.core._check import batch_times, check_same_shape, expand_time
from scif.core.domain import Domain
from scif.core.noise.base import NoiseModel
from scif.core.scaling import Scaling

__all__ = ["ConsistencyFunction"]


class ConsistencyFunction(nn.Module):
    r"""A network that maps ``(x_t, t)`` to ``x0``, with ``c(x, 0) = x`` exactly and values inside a domain.

    With :math:`s_t^2 = \sigma_d^2 + t^2 \sigma^2` (see :class:`~scif.core.scaling.Scaling`) and the mean :math:`m`,

    .. math:: b(x, t) = m + k_t (x - m), \quad F = \frac{\sigma_d\, t \sigma}{s_t}\,
              \mathrm{net}\left(\frac{x - m}{s_t}, t\right),

    a function on the real line is :math:`c = b + F`. In any other domain
    :math:`c = (1 - t)\, x + t\, \phi(\phi^{-1}(b) + F)`, with :math:`\phi` the domain's smooth map from the real
    line: a convex combination, so that the domain is kept. The skip :math:`k_t` is :math:`\sigma_d / s_t`
    (``"transport"``: without a network the exact consistency function of Gaussian data) or
    :math:`\sigma_d^2 / s_t^2` (``"mean"``: their exact posterior mean).

    Parameters
    ----------
    net
        Network, called as ``net(x_scaled, t, **condition)`` with input of order one and times ``(batch,)``. It returns
        the shape of its input, preferably zero before training.
    domain
        Domain of the clean signals.
    noise_scale
        Standard deviation of the noise at time 1; a number, or a tensor that broadcasts against one sample.
    data_scale
        Standard deviation of the clean signal.
    data_mean
        Mean of the clean signal, inside the domain.
    skip
        Function before training: ``"transport"`` or ``"mean"``.

    References
    ----------
    Song et al., "Consistency models", ICML 2023, section 3; Karras et al., NeurIPS 2022, appendix B.6, for the scales.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction
    >>> from scif.nn import TimeMLP
    >>> c = ConsistencyFunction(TimeMLP(2, hidden=16, depth=1), noise_scale=0.2, data_scale=0.7)
    >>> x = torch.randn(5, 2)
    >>> torch.equal(c(x, 0.0), x), c(x, 1.0).shape
    (True, torch.Size([5, 2]))
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        domain: Domain = Domain.REAL,
        noise_scale: float | Tensor = 1.0,
        data_scale: float | Tensor = 1.0,
        data_mean: float | Tensor | None = None,
        skip: Literal["transport", "mean"] = "transport",
    ) -> None:
        super().__init__()
        if skip not in ("transport", "mean"):
            msg = f"skip is {skip!r}; choose 'transport' or 'mean'."
            raise ValueError(msg)
        if data_mean is None:
            data_mean = {Domain.REAL: 0.0, Domain.UNIT: 0.5}.get(domain, data_scale)
        self.net = net
        self.domain = domain
        self.skip = skip
        self.scaling = Scaling(data_mean=data_mean, data_scale=data_scale, noise_scale=noise_scale)
        # counts have positive expectations, which need not be whole
        (Domain.POSITIVE if domain is Domain.COUNTS else domain).check(self.scaling.data_mean, name="data_mean")

    @classmethod
    def calibrated(
        cls,
        net: nn.Module,
        x1: Tensor,
        noise: NoiseModel,
        *,
        domain: Domain | None = None,
        per_feature: bool = False,
        skip: Literal["transport", "mean"] = "transport",
    ) -> ConsistencyFunction:
        """Create a consistency function with scales estimated from observations and the channel's moments.

        Parameters
        ----------
        net
            Network, as for the class.
        x1
            Observations ``(n, ...)``, a few hundred or more.
        noise
            Channel of the observations.
        domain
            Domain of the clean signals; default the channel's support.
        per_feature
            Use one scale per entry of dimension 1 instead of one for all, see :meth:`Scaling.calibrated`.
        skip
            Function before training: ``"transport"`` or ``"mean"``.
        """
        domain = noise.support_x0 if domain is None else domain
        scaling = Scaling.calibrated(x1, noise, per_feature=per_feature)
        return cls(
            net,
            domain=domain,
            noise_scale=scaling.noise_scale,
            data_scale=scaling.data_scale,
            data_mean=domain.project(scaling.data_mean),
            skip=skip,
        )

    def forward(self, x: Tensor, t: float | Tensor, **condition: Any) -> Tensor:
        """Return the clean end of the path through ``x`` at time ``t``.

        Parameters
        ----------
        x
            Points ``(batch, ...)``.
        t
            One time in [0, 1] for all, or one per sample ``(batch,)``.
        **condition
            Passed to the network.

        Raises
        ------
        ValueError
            If times lie outside [0, 1], or if the network changes the shape of its input.
        """
        t = batch_times(t, x)
        out = call_network(self.net, self.scaling.normalize(x, t), t, **condition)
        check_same_shape(out, x, names=("the network's output", "x"))
        noise, spread = self.scaling.noise_at(t, x), self.scaling.spread(t, x)
        data = self.scaling.data_scale.to(x.dtype)
        # 1 - k_t without cancellation, and exactly zero at t = 0
        shrink = noise.square() / (spread * (spread + data if self.skip == "transport" else spread))
        base = x - shrink * (x - self.scaling.data_mean.to(x.dtype))
        residual = data * noise / spread * out.to(x.dtype)
        if self.domain is Domain.REAL:
            return base + residual
        weight = expand_time(t, x)
        return self.domain.project((1.0 - weight) * x + weight * self._bounded(base, residual))

    def _bounded(self, base: Tensor, residual: Tensor) -> Tensor:
        """``base`` moved by about ``residual``, inside the domain."""
        if self.domain is Domain.UNIT:
            mean = self.scaling.data_mean.to(base.dtype).clamp(0.01, 0.99)
            return self.domain.from_real(self.domain.to_real(base) + residual / (mean * (1.0 - mean)))
        unit = self.scaling.data_scale.to(base.dtype)
        return unit * self.domain.from_real(self.domain.to_real(base / unit) + residual / unit)
