"""Training by Lightning: one module for every objective, and a function that runs it."""

from __future__ import annotations

from scif.core.engine.batches import Batches
from scif.core.engine.fit import fit
from scif.core.engine.module import Engine, NonFiniteLoss, Unpacked

__all__ = ["Batches", "Engine", "NonFiniteLoss", "Unpacked", "fit"]
