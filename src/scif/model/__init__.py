"""Models for single-cell counts, in the manner of scvi-tools."""

from __future__ import annotations

from scif.model.icm import ICM

__all__ = ["ICM"]
