"""Denoising of image layers in napari."""

from __future__ import annotations

from napari_scif._widget import DenoiseWidget

__all__ = ["DenoiseWidget"]
