"""Inverse flow matching: a velocity from noisy observations alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from scif.core.coupling import ChannelCoupling
from scif.core.distance import Distance
from scif.core.noise.base import NoiseModel
from scif.core.objective.flow_matching import FlowMatching
from scif.core.objective.inverse import Inverse
from scif.core.path import Path
from scif.core.schedule import GrowingSteps, Schedule

__all__ = ["InverseFlowMatching"]


class InverseFlowMatching(Inverse):
    r"""Inverse flow matching (IFM): :class:`FlowMatching` on clean signals that the flow itself estimates.

    The estimate :math:`x_0 = \mathrm{sg}\, \mathrm{ODE}_{1 \to 0}(v)(x_1)` replaces the clean signal, the channel draws
    a new observation of it, and the model is trained on the pair as in :class:`FlowMatching`:
    ``Inverse(FlowMatching(ChannelCoupling(noise)))``. An estimate needs as many network calls as the solver makes;
    :class:`InverseConsistency` needs one. With Euler steps on the same grid both have the same fixed points.

    Parameters
    ----------
    noise
        The channel.
    method
        Solver on the grid. With ``"euler"`` the velocity is trained at the times of the grid, otherwise at all times.
    resamples
        Number of new observations of each clean estimate.
    prediction
        Output of the model: a velocity, or the clean end (for example a
        :class:`~scif.core.consistency.ConsistencyFunction`), which is more accurate for concentrated clean signals.
    path, schedule, num_steps, distance, times
        As for :class:`FlowMatching`.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, algorithm 1.
    """

    def __init__(
        self,
        noise: NoiseModel,
        *,
        method: Literal["euler", "midpoint", "heun"] = "euler",
        resamples: int = 1,
        prediction: Literal["velocity", "x0"] = "velocity",
        path: Path | None = None,
        schedule: Schedule | None = None,
        num_steps: int | GrowingSteps = 10,
        distance: Distance | None = None,
        times: Tensor | Literal["uniform", "length", "lognormal"] = "uniform",
    ) -> None:
        objective = FlowMatching(
            ChannelCoupling(noise),
            path=path,
            schedule=schedule,
            num_steps=num_steps,
            distance=distance,
            times=times,
            prediction=prediction,
            continuous=method != "euler",
            method=method,
        )
        super().__init__(objective, resamples=resamples)
        self.name = "inverse_flow_matching"
