"""Scores of denoised counts, with and without ground truth. All functions take arrays."""

from __future__ import annotations

from scif.metrics._baselines import pooled_profile, truncated_svd
from scif.metrics._changed_most import changed_most
from scif.metrics._coexpression import pair_correlations, strongest_pairs
from scif.metrics._composition import composition_error
from scif.metrics._coverage import Coverage, coverage
from scif.metrics._cross_validation import molecular_cross_validation
from scif.metrics._cross_validation_result import CrossValidation
from scif.metrics._depth_recovery import DepthRecovery, depth_recovery
from scif.metrics._differential import CalledGenes, called_genes, differential_p_values, permuted_false_positives
from scif.metrics._fold_change import fold_change_slope, log_fold_changes
from scif.metrics._gene_variance import GeneVariances, gene_variances
from scif.metrics._labels import LabelAgreement, label_agreement, neighbour_agreement
from scif.metrics._mixtures import mixture_proportions, mixture_r2
from scif.metrics._noise_found import NoiseFound, noise_found
from scif.metrics._open_problems import open_problems_mse, open_problems_poisson
from scif.metrics._over_smoothing import OverSmoothing, over_smoothing
from scif.metrics._pit import pit_of_draws, predictive_coverage, randomised_pit
from scif.metrics._poisson import poisson_nll
from scif.metrics._pseudotime import diffusion_pseudotime, pseudotime_correlation
from scif.metrics._rare import marker_recall
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
    "CalledGenes",
    "CountSplit",
    "Coverage",
    "CrossValidation",
    "DepthRecovery",
    "GeneVariances",
    "LabelAgreement",
    "NoiseFound",
    "OverSmoothing",
    "VarianceKept",
    "called_genes",
    "changed_most",
    "composition_error",
    "coverage",
    "depth_recovery",
    "differential_p_values",
    "diffusion_pseudotime",
    "fold_change_slope",
    "gene_correlation_error",
    "gene_variances",
    "label_agreement",
    "log_fold_changes",
    "marker_recall",
    "mean_absolute_correlation",
    "mixture_proportions",
    "mixture_r2",
    "molecular_cross_validation",
    "neighbour_agreement",
    "noise_found",
    "open_problems_mse",
    "open_problems_poisson",
    "over_smoothing",
    "pair_correlations",
    "permute_genes",
    "permuted_false_positives",
    "pit_of_draws",
    "poisson_nll",
    "pooled_profile",
    "predictive_coverage",
    "pseudotime_correlation",
    "randomised_pit",
    "split_counts",
    "strongest_pairs",
    "to_counts",
    "truncated_svd",
    "tuned_svd",
    "variance_kept",
]
