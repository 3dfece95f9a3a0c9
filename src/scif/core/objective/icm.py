"""Inverse consistency model: a consistency function from noisy observations alone."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from scif.core.coupling import ChannelCoupling
from scif.core.distance import Distance
from scif.core.noise.base import NoiseModel
from scif.core.objective.gct import GCT
from scif.core.objective.inverse import Inverse
from scif.core.path import Path
from scif.core.schedule import GrowingSteps, Schedule

__all__ = ["ICM"]


class ICM(Inverse, GCT):
    r"""Inverse consistency model: :class:`GCT` on clean signals that the model itself makes of the observations.

    :math:`x_0 = \mathrm{sg}\, c(x_1, 1)` stands in for the clean signal, the channel draws a new observation of it,
    and the pair is trained on as in :class:`GCT`. "Always predict the same" is a minimum, too, and attracts weak
    signals on coarse grids: take many steps, add an :class:`Anchor`, and watch :func:`~scif.core.monitor.collapse`.

    Parameters
    ----------
    noise
        The channel.
    resamples
        Number of new observations of each clean estimate.
    path, schedule, num_steps, distance, times, weight
        As for :class:`GCT`.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ICM, ConsistencyFunction
    >>> from scif.core.noise import Gaussian
    >>> from scif.nn import TimeMLP
    >>> x1 = torch.randn(16, 2)
    >>> loss = ICM(Gaussian(0.2), num_steps=20)(ConsistencyFunction(TimeMLP(2), noise_scale=0.2), x1).loss
    >>> loss.requires_grad
    True
    """

    name = "icm"

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
        super().__init__(
            ChannelCoupling(noise),
            path=path,
            schedule=schedule,
            num_steps=num_steps,
            distance=distance,
            times=times,
            weight=weight,
        )
        self._set_channel(noise, resamples)

    def transport(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """``c(x1, 1)``, inside the channel's support; override to make clean estimates in another way."""
        return self.noise.support_x0.project(model(x1, x1.new_ones(x1.shape[0]), **condition))
