"""Networks for the functions of :mod:`scif.core`."""

from __future__ import annotations

from scif.nn.fno import FNO
from scif.nn.mlp import TimeMLP
from scif.nn.time import TimeEmbedding
from scif.nn.unet import UNet

__all__ = ["FNO", "TimeEmbedding", "TimeMLP", "UNet"]
