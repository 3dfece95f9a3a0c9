"""Networks that see more than the image itself."""

from __future__ import annotations

from torch import nn

from scif.core.scaling import Scaling

__all__ = ["Seeing"]


class Seeing(nn.Module):
    """A network with a module before it that prepares what it sees.

    Parameters
    ----------
    net
        Called ``net(x, t)`` with all channels that it sees; returns those of one image.
    scaling
        Scales by which its input was normalised.
    frames
        Number of frames around an image that it sees.
    """

    def __init__(self, net: nn.Module, scaling: Scaling, *, frames: int = 0) -> None:
        super().__init__()
        self.net, self.scaling, self.frames = net, scaling, frames

    @property
    def multiple(self) -> int | tuple[int, ...]:
        """Period of the network's grid."""
        period: int | tuple[int, ...] = getattr(self.net, "multiple", 1)
        return period
