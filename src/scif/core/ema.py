"""Exponential moving average of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from scif.core._check import check_fraction

__all__ = ["ExponentialAverage"]


class ExponentialAverage(AveragedModel):
    r"""Exponential moving average of a model's weights and buffers; a module that is saved and moved with its owner.

    After update number ``n`` (from 0) the average is :math:`\theta \leftarrow d_n \theta + (1 - d_n) \theta_{model}`
    with :math:`d_n = \min(d, n / (n + 9))`, so the random initial weights are forgotten within a few updates instead of
    :math:`1 / (1 - d)` updates.

    Parameters
    ----------
    model
        The model to follow; it is copied, not changed.
    decay
        Largest fraction ``d`` of the average that an update keeps.

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
        super().__init__(model, use_buffers=True)
        self.requires_grad_(False)
        self.decay = decay
        self._copied: list[tuple[Tensor, int]] = []

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take a step towards the model.

        The first update copies all buffers. Buffers that have not changed since then cost nothing.
        """
        n = int(self.n_averaged)
        buffers = [*model.buffers()]
        if n == 0:
            super().update_parameters(model)
            self._copied = [(buffer, buffer._version) for buffer in buffers]
            return
        pairs: list[tuple[Tensor, Tensor]] = [*zip(self.module.parameters(), model.parameters(), strict=True)]
        for i, (mine, theirs) in enumerate(zip(self.module.buffers(), buffers, strict=True)):
            copied, version = self._copied[i] if self._copied else (None, -1)
            if theirs is not copied or theirs._version != version:
                pairs.append((mine, theirs))
        smooth = [(mine, theirs) for mine, theirs in pairs if mine.is_floating_point() or mine.is_complex()]
        if smooth:
            averaged, current = zip(*smooth, strict=True)
            current = tuple(x.to(averaged[0].device) for x in current)
            torch._foreach_lerp_(averaged, current, 1.0 - min(self.decay, n / (n + 9)))
        for mine, theirs in pairs:
            if not (mine.is_floating_point() or mine.is_complex()):
                mine.copy_(theirs)
        self.n_averaged += 1

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_copied": []}  # the buffers of a copy are others
