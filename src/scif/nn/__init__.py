"""Networks: general ones to be wrapped by the core's functions, and those of the count model."""

from __future__ import annotations

from scif.nn.cell_scale import CellScale
from scif.nn.code_prior import CodePosterior, CodePrior
from scif.nn.count_consistency import CountConsistency
from scif.nn.count_network import CountNetwork, CountStart
from scif.nn.depth_trend import DepthTrend
from scif.nn.fno import FNO
from scif.nn.mlp import TimeMLP
from scif.nn.multinomial import decoded_nll, multinomial_nll
from scif.nn.outlying import Outlying, find_outlying
from scif.nn.sparse_counts import SparseCounts, Thinned
from scif.nn.time import TimeEmbedding
from scif.nn.unet import UNet

__all__ = [
    "FNO",
    "CellScale",
    "CodePosterior",
    "CodePrior",
    "CountConsistency",
    "CountNetwork",
    "CountStart",
    "DepthTrend",
    "Outlying",
    "SparseCounts",
    "Thinned",
    "TimeEmbedding",
    "TimeMLP",
    "UNet",
    "decoded_nll",
    "find_outlying",
    "multinomial_nll",
]
