"""Which observation (or noise) goes with which clean signal."""

from __future__ import annotations

from scif.core.coupling.base import Coupled, Coupling
from scif.core.coupling.channel import ChannelCoupling
from scif.core.coupling.gibbs import GibbsKernel
from scif.core.coupling.independent import Independent
from scif.core.coupling.nearest import NearestNoise
from scif.core.coupling.optimal_transport import MinibatchOT
from scif.core.coupling.reflow import Reflow

__all__ = [
    "ChannelCoupling",
    "Coupled",
    "Coupling",
    "GibbsKernel",
    "Independent",
    "MinibatchOT",
    "NearestNoise",
    "Reflow",
]
