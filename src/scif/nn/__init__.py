"""Networks, to be wrapped by :class:`scif.core.ConsistencyFunction` or :class:`scif.core.Velocity`."""

from __future__ import annotations

from scif.nn.mlp import TimeMLP
from scif.nn.time import TimeEmbedding

__all__ = ["TimeEmbedding", "TimeMLP"]
