"""A network that draws from the posterior."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._call import call_network
from scif.core._check import batch_times, check_same_shape
from scif.core.objective.posterior import scaling_of

__all__ = ["PosteriorHead"]


class PosteriorHead(nn.Module):
    """Conditional velocity from noise to the clean signal, given an observation.

    Parameters
    ----------
    net
        Network, called as ``net(x, t, **condition)`` with the scaled point and the scaled observation concatenated
        along dimension 1. It therefore takes twice as many features or channels. If it also returns twice as many, only
        the first half is used.
    source
        Trained inverse model, whose scales are used.

    Examples
    --------
    >>> import torch
    >>> from scif.core import ConsistencyFunction, PosteriorHead
    >>> from scif.nn import TimeMLP
    >>> head = PosteriorHead(TimeMLP(2 * 3), ConsistencyFunction(TimeMLP(3)))
    >>> head(torch.randn(5, 3), 1.0, observed=torch.randn(5, 3)).shape
    torch.Size([5, 3])
    """

    def __init__(self, net: nn.Module, source: nn.Module) -> None:
        super().__init__()
        scaling = scaling_of(source)
        self.net = net
        self.scaling = copy.deepcopy(scaling)

    def forward(self, x: Tensor, t: float | Tensor, *, observed: Tensor, **condition: Any) -> Tensor:
        """Velocity at points ``x`` and times ``t``, given observations of the same shape."""
        check_same_shape(x, observed, names=("x", "observed"))
        t, scaling = batch_times(t, x), self.scaling
        point = scaling.normalize(x, torch.zeros_like(t))
        seen = scaling.normalize(observed, torch.ones_like(t))
        out: Tensor = call_network(self.net, torch.cat([point, seen], 1), t, **condition)
        return scaling.data_scale.to(x.dtype) * out[:, : x.shape[1]]

    def latent(self, observed: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw starting noise with the shape of the observations and the scale of the clean signal."""
        z = torch.randn(observed.shape, dtype=observed.dtype, device=observed.device, generator=generator)
        return self.scaling.data_mean.to(z.dtype) + self.scaling.data_scale.to(z.dtype) * z
