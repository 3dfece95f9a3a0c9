"""Any simulator as a channel."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

from scif.core._check import check_same_shape
from scif.core.domain import Domain
from scif.core.noise.base import NoiseModel
from scif.core.noise.moments import Moments

__all__ = ["Simulator"]


class Simulator(NoiseModel):
    """``x1 = function(x0)``, or ``function(x0, generator=...)`` if it is random.

    A function with an argument ``generator`` is random and must draw only from it (or from the global generator if it
    is None). A function without this argument is deterministic. A deterministic simulator followed by another channel
    has the density, moments and split of that channel: ``Gaussian(0.1) @ Simulator(solve)``.

    Parameters
    ----------
    function
        Maps clean signals ``(batch, ...)`` to observations of the same shape; a function or a module.
    support_x0
        Domain of the clean signals.
    support_x1
        Domain of the observations.
    unbiased
        True if ``E[x1 | x0] = x0``.
    moment_draws
        Number of samples for :meth:`moments` of a random simulator, which are estimates.
    elementwise
        True if every entry of the output depends only on the same entry of the input; None if unknown.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import Simulator
    >>> Simulator(lambda x: 2 * x).moments(torch.ones(1, 2)).mean.tolist()
    [[2.0, 2.0]]
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        *,
        support_x0: Domain = Domain.REAL,
        support_x1: Domain = Domain.REAL,
        unbiased: bool = False,
        moment_draws: int = 256,
        elementwise: bool | None = None,
    ) -> None:
        super().__init__()
        if moment_draws < 2:
            msg = f"moment_draws is {moment_draws}; a variance needs at least 2 draws."
            raise ValueError(msg)
        self.function = function
        self.deterministic = not _takes_generator(function)
        self.support_x0, self.support_x1 = support_x0, support_x1
        self.unbiased, self.moment_draws, self.elementwise = unbiased, moment_draws, elementwise

    @override
    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        self.check_x0(x0)
        x1 = self.function(x0) if self.deterministic else self.function(x0, generator=generator)
        check_same_shape(x1, x0, names=("the simulator's output", "x0"))
        self.support_x1.check(x1, name="the simulator's output")
        return x1

    @override
    def moments(self, x0: Tensor) -> Moments:
        """The output with variance zero, or Monte Carlo estimates if the simulator is random.

        The estimates use their own generator, so equal input gives equal estimates.
        """
        if self.deterministic:
            return Moments(self.sample(x0), torch.zeros_like(x0))
        return super().moments(x0)


def _takes_generator(function: Callable[..., Tensor]) -> bool:
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except ValueError:  # functions written in C, such as torch.sin, do not tell
        return False
    return "generator" in signature.parameters
