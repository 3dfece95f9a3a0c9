"""Plots of observed and denoised data, training and scores, with the conventions of scanpy."""

from __future__ import annotations

from scif.pl._calibration import calibration
from scif.pl._cross_validation import molecular_cross_validation
from scif.pl._denoising import denoising
from scif.pl._dotplot import dotplot
from scif.pl._dropout_curve import dropout_curve
from scif.pl._gene_scatter import gene_scatter
from scif.pl._gene_variance import gene_variance
from scif.pl._heatmap import heatmap
from scif.pl._learning_curve import learning_curve
from scif.pl._over_smoothing import over_smoothing

__all__ = [
    "calibration",
    "denoising",
    "dotplot",
    "dropout_curve",
    "gene_scatter",
    "gene_variance",
    "heatmap",
    "learning_curve",
    "molecular_cross_validation",
    "over_smoothing",
]
