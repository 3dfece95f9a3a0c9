"""Denoising in one call, in the way of scanpy's preprocessing."""

from __future__ import annotations

from scif.pp._denoise import denoise

__all__ = ["denoise"]
