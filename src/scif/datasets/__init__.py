"""Example data, real and simulated, and a reader for common file formats."""

from __future__ import annotations

from scif.datasets._pbmc import pbmc68k_counts
from scif.datasets._read import read_counts
from scif.datasets._simulate import simulate_counts

__all__ = ["pbmc68k_counts", "read_counts", "simulate_counts"]
