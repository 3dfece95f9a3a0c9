"""The anchor: predict one part of a real observation from another, independent part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scif.core._call import call_network
from scif.core._check import check_fraction
from scif.core.domain import Domain
from scif.core.noise.base import NoiseModel, NotSplittable
from scif.core.objective.base import LossOutput, Objective

__all__ = ["Anchor"]

_FLOOR = 1e-6
"""Smallest prediction of a positive signal, as a share of the mean observation."""


class Anchor(Objective):
    r"""Likelihood of one part of an observation under the clean signal predicted from the other part.

    The channel splits ``x1`` into ``a`` and ``b``, independent given ``x0``, of which ``a`` carries a fraction ``f``.
    Minimises :math:`-\log p(b \mid c(a / f, 1))` per entry. Since ``b`` is real data and its noise is independent of
    the noise in ``a``, the minimiser is :math:`E[x_0 | a]`, and a constant prediction has a high loss. This prevents
    :class:`InverseConsistency` from collapsing.

    The network sees ``a / f``, whose noise variance is larger than that of ``x1`` by ``1 / f``. With a fraction near
    one the input is close to the observation, but the target is noisy.

    Parameters
    ----------
    noise
        The channel. It must support :meth:`~scif.core.noise.base.NoiseModel.split`.
    fraction
        Fraction of the observation in the visible part, or a range from which each batch draws its fraction.

    Raises
    ------
    NotSplittable
        If the channel cannot be split.

    References
    ----------
    Neufeld et al., "Data thinning for convolution-closed distributions", JMLR 2024; Batson et al., "Molecular
    cross-validation", bioRxiv 2019.

    Examples
    --------
    >>> import torch
    >>> from scif.core import InverseConsistency, Anchor, ConsistencyFunction
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> noise = Gaussian(0.2)
    >>> objective = 0.5 * Anchor(noise) + 1.0 * InverseConsistency(noise)
    >>> sorted(objective(ConsistencyFunction(TimeMLP(2)), torch.randn(16, 2)).terms)
    ['anchor', 'inverse_consistency']
    """

    name = "anchor"

    def __init__(self, noise: NoiseModel, *, fraction: float | tuple[float, float] = 0.8) -> None:
        super().__init__()
        if not isinstance(noise, NoiseModel):
            msg = f"noise is {noise!r}; pass a channel, such as noise_channel('gaussian', sigma=0.2)."
            raise TypeError(msg)
        if not noise.splittable:
            msg = (
                f"{type(noise).__name__} cannot be split into independent parts, so there is no anchor for it; omit "
                "the anchor (anchor_weight=0), use many time steps, and watch the collapse monitor."
            )
            raise NotSplittable(msg)
        low, high = fraction if isinstance(fraction, tuple) else (fraction, fraction)
        check_fraction(low)
        check_fraction(high)
        if low > high:
            msg = f"fraction is the range {fraction}; give its lower end first."
            raise ValueError(msg)
        self.noise = noise
        self.range = (float(low), float(high))

    def predict(self, model: nn.Module, a: Tensor, fraction: float, **condition: Any) -> Tensor:
        """Clean signal predicted from the visible part. Override it if a model needs the part itself."""
        out: Tensor = call_network(model, a / fraction, a.new_ones(a.shape[0]), **condition)
        return self.noise.support_x0.project(out)

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Negative log-likelihood per entry of the hidden part. The target is real data, so there is no teacher."""
        fraction = self._draw(x1, generator)
        parts = self.noise.split(x1, fraction, generator=generator)
        x0 = self._off_zero(self.predict(model, parts.a, fraction, **condition), x1)
        log_prob = self.noise.part_log_prob(parts.b, x0, 1.0 - fraction)
        return LossOutput(-log_prob.sum() / x1.numel())

    def _off_zero(self, x0: Tensor, x1: Tensor) -> Tensor:
        """Predictions of a positive signal kept above zero, where a count or a gamma number is impossible."""
        if self.noise.support_x0 is not Domain.POSITIVE:
            return x0
        floor = (_FLOOR * x1.mean()).clamp_min(torch.finfo(x0.dtype).tiny)
        return x0 + (floor - x0.detach()).clamp_min(0.0)  # moved, not cut: the gradient still leads away from zero

    def _draw(self, x1: Tensor, generator: torch.Generator | None) -> float:
        low, high = self.range
        if low == high:
            return low
        return low + (high - low) * float(torch.rand((), device=x1.device, generator=generator))
