"""Estimators: what a trained model says about the clean signal."""

from __future__ import annotations

from scif.core.estimator.base import Estimate
from scif.core.estimator.head import PosteriorHead
from scif.core.estimator.mean import mean
from scif.core.estimator.sample import sample
from scif.core.estimator.transport import transport

__all__ = ["Estimate", "PosteriorHead", "mean", "sample", "transport"]
