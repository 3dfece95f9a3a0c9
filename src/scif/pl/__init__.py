"""Figures of observed and denoised data and of training."""

from __future__ import annotations

from scif.pl._denoising import denoising
from scif.pl._learning_curve import learning_curve

__all__ = ["denoising", "learning_curve"]
