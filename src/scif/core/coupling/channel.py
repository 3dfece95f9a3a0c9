"""Pairs from a noise channel."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core.coupling.base import Coupled, Coupling
from scif.core.noise.base import NoiseModel

__all__ = ["ChannelCoupling"]


class ChannelCoupling(Coupling):
    """Each clean signal with an observation drawn from the channel, ``x1 ~ p(.|x0)``: the coupling of inverse flow.

    Parameters
    ----------
    noise
        The channel.
    """

    def __init__(self, noise: NoiseModel) -> None:
        if not isinstance(noise, NoiseModel):
            msg = f"noise is {noise!r}; pass a channel, such as noise_channel('gaussian', sigma=0.2)."
            raise TypeError(msg)
        self.noise = noise

    def __call__(self, x0: Tensor, x1: Tensor | None = None, *, generator: torch.Generator | None = None) -> Coupled:
        """Draw the observations.

        Raises
        ------
        ValueError
            If ``x1`` is given: the channel draws it.
        """
        if x1 is not None:
            msg = "x1 was given, but a ChannelCoupling draws it from its channel; leave x1 out."
            raise ValueError(msg)
        return Coupled(x0, self.noise.sample(x0, generator=generator))
