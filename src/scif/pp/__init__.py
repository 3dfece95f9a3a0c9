"""Denoising in one call, like scanpy's preprocessing functions."""

from __future__ import annotations

from scif.pp._denoise import denoise

__all__ = ["denoise"]
