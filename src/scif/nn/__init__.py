"""Networks to be wrapped by the core's functions."""

from __future__ import annotations

from scif.nn.fno import FNO
from scif.nn.mlp import TimeMLP
from scif.nn.time import TimeEmbedding
from scif.nn.unet import UNet

__all__ = ["FNO", "TimeEmbedding", "TimeMLP", "UNet"]
