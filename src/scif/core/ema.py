"""Exponential moving average of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from scif.core._check import check_fraction

__all__ = ["ExponentialAverage"]


class ExponentialAverage(AveragedModel):
    r"""Exponential moving average of a model's weights and buffers, itself a module: saved and moved with its owner.

    After update number ``n`` (from 0) the average is :math:`\theta \leftarrow d_n \theta + (1 - d_n) \theta_{model}`
    with :math:`d_n = \min(d, n / (n + 9))`, so that the random initial weights are forgotten within a few updates
    instead of :math:`1 / (1 - d)` of them.

    Parameters
    ----------
    model
        The model to follow; it is copied, not changed.
    decay
        Largest share ``d`` of the average that an update keeps.

    Examples
    --------
    >>> import torch
    >>> from scif.core.ema import ExponentialAverage
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> average = ExponentialAverage(model, decay=0.5)
    >>> for value in [0.0, *[1.0] * 30]:
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> round(average.module.weight.item(), 6)
    1.0
    """

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        check_fraction(decay, name="decay")
        super().__init__(model, multi_avg_fn=_Warming(decay), use_buffers=True)
        self.requires_grad_(False)


class _Warming:
    """The update rule; a class and not a closure, so that a model that holds it can be pickled."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Tensor | int) -> None:
        n = int(num_averaged)
        decay = min(self.decay, n / (n + 9))
        if averaged[0].is_floating_point() or averaged[0].is_complex():
            torch._foreach_lerp_(list(averaged), list(current), 1.0 - decay)
        else:
            torch._foreach_copy_(list(averaged), list(current))
