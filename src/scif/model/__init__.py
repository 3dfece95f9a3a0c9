"""Models of single-cell counts, with the interface of scvi-tools."""

from __future__ import annotations

from scif.model.distributed import denoise_distributed
from scif.model.icm import ICM

__all__ = ["ICM", "denoise_distributed"]
