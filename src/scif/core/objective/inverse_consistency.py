"""Inverse consistency: a consistency function from noisy observations alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from scif.core.coupling import ChannelCoupling
from scif.core.distance import Distance
from scif.core.noise.base import NoiseModel
from scif.core.objective.gct import GCT
from scif.core.objective.inverse import Inverse
from scif.core.path import Path
from scif.core.schedule import GrowingSteps, Schedule

__all__ = ["InverseConsistency"]


class InverseConsistency(Inverse):
    r"""Inverse consistency model (ICM): :class:`GCT` on clean signals that the model itself estimates.

    The estimate :math:`x_0 = \mathrm{sg}\, c(x_1, 1)` replaces the clean signal, the channel draws a new observation of
    it, and the model is trained on the pair as in :class:`GCT`: ``Inverse(GCT(ChannelCoupling(noise)))``. A constant
    prediction is also a minimum, and weak signals collapse to it on coarse grids. Use many steps, add an
    :class:`Anchor`, and check :func:`~scif.core.monitor.collapse`.

    Parameters
    ----------
    noise
        The channel.
    resamples
        Number of new observations of each clean estimate.
    path, schedule, num_steps, distance, times, weight
        Same as for :class:`GCT`.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, InverseConsistency
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> x1 = torch.randn(16, 2)
    >>> objective = InverseConsistency(Gaussian(0.2), num_steps=20)
    >>> objective(ConsistencyFunction(TimeMLP(2), noise_scale=0.2), x1).loss.requires_grad
    True
    """

    def __init__(
        self,
        noise: NoiseModel,
        *,
        resamples: int = 1,
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "uniform",
        weight: Literal["constant", "inverse_step"] = "inverse_step",
    ) -> None:
        objective = GCT(
            ChannelCoupling(noise),
            path=path,
            schedule=schedule,
            num_steps=num_steps,
            distance=distance,
            times=times,
            weight=weight,
        )
        super().__init__(objective, resamples=resamples)
        self.name = "inverse_consistency"
