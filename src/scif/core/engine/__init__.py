"""Training by Lightning: one module for every objective, and a function that runs it."""

from __future__ import annotations

from scif.core.engine.batches import Batches
from scif.core.engine.fit import fit
from scif.core.engine.module import Engine, NonFiniteLoss, Unpacked
from scif.core.engine.running import Checkpoint, check_trainer_options

__all__ = ["Batches", "Checkpoint", "Engine", "NonFiniteLoss", "Unpacked", "check_trainer_options", "fit"]
