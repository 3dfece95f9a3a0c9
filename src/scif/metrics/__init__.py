"""Scores of denoised counts, with and without ground truth, as functions of arrays."""

from __future__ import annotations

from scif.metrics._baselines import pooled_profile, truncated_svd
from scif.metrics._composition import composition_error
from scif.metrics._cross_validation import molecular_cross_validation
from scif.metrics._cross_validation_result import CrossValidation
from scif.metrics._gene_variance import GeneVariances, gene_variances
from scif.metrics._open_problems import open_problems_mse, open_problems_poisson
from scif.metrics._poisson import poisson_nll
from scif.metrics._scale import to_counts
from scif.metrics._smoothing import (
    VarianceKept,
    gene_correlation_error,
    mean_absolute_correlation,
    permute_genes,
    variance_kept,
)
from scif.metrics._split import CountSplit, split_counts
from scif.metrics._tuned_svd import tuned_svd

__all__ = [
    "CountSplit",
    "CrossValidation",
    "GeneVariances",
    "VarianceKept",
    "composition_error",
    "gene_correlation_error",
    "gene_variances",
    "mean_absolute_correlation",
    "molecular_cross_validation",
    "open_problems_mse",
    "open_problems_poisson",
    "permute_genes",
    "pooled_profile",
    "poisson_nll",
    "split_counts",
    "to_counts",
    "truncated_svd",
    "tuned_svd",
    "variance_kept",
]
