"""Data to try things on: real counts without a download, and simulated counts whose expectation is known."""

from __future__ import annotations

from scif.datasets._pbmc import pbmc68k_counts
from scif.datasets._simulate import simulate_counts

__all__ = ["pbmc68k_counts", "simulate_counts"]
