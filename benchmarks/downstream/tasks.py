"""The tasks: each takes an output and a case, and gives named scores, or none where it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.downstream.cases import Case
from benchmarks.downstream.methods import Output

from scif.metrics import (
    called_genes,
    coverage,
    depth_recovery,
    differential_p_values,
    diffusion_pseudotime,
    fold_change_slope,
    label_agreement,
    log_fold_changes,
    marker_recall,
    mixture_r2,
    neighbour_agreement,
    pair_correlations,
    permuted_false_positives,
    pseudotime_correlation,
    strongest_pairs,
)

__all__ = ["TASKS", "scores"]

_PAIRS, _NEIGHBOURS, _COMPONENTS = 200, 10, 30
_DEEP = 1.0
"""Molecules of a gene in the average deep cell from which its fold change and its correlations are a fair reference."""
_LEAST_CHANGE = 0.5
"""Difference in log2 from which a gene of a simulation counts as differential."""


def scores(output: Output, case: Case, *, seed: int) -> Iterator[tuple[str, str, float]]:
    """Task, score and value for everything that applies."""
    for name, task in TASKS.items():
        for score, value in task(output, case, seed).items():
            yield name, score, float(value)


def _depth(output: Output, case: Case, seed: int) -> dict[str, float]:
    if output.layer is None or case.deep is None:
        return {}
    genes = _kept(case)
    found = depth_recovery(
        output.layer[:, genes], case.deep[:, genes], labels=case.labels, min_deep=0.1 if case.expected else _DEEP
    )
    result = {
        "per cell": found.cell_correlation.mean(),
        "per gene": found.gene_correlation.mean(),
        "relative error": found.relative_error,
    }
    if found.within_type_correlation is not None:
        result["within type"] = found.within_type_correlation.mean()
    return result


def _differential(output: Output, case: Case, seed: int) -> dict[str, float]:
    """The two largest groups; what differs is known from the deep counts, or from the expected ones."""
    if output.layer is None or case.deep is None or case.labels is None:
        return {}
    one, other = _two_largest(case.labels)
    genes = _kept(case)
    deep_changes = log_fold_changes(case.deep, case.labels, group=one, reference=other)
    p_values = differential_p_values(output.layer, case.labels, group=one, reference=other)
    changes = log_fold_changes(output.layer, case.labels, group=one, reference=other)
    if case.expected:
        differs = np.abs(deep_changes) > _LEAST_CHANGE
    else:
        differs = differential_p_values(case.deep, case.labels, group=one, reference=other) < 1e-4
    abundant = np.intersect1d(genes, np.flatnonzero(_means(case.deep) >= (0.1 if case.expected else _DEEP)))
    result = {"slope of fold changes": fold_change_slope(changes[abundant], deep_changes[abundant])}
    tested = np.union1d(abundant, np.empty(0, int) if case.null is None else case.null)
    null = None if case.null is None else np.flatnonzero(np.isin(tested, case.null))
    at = np.isin(tested, genes) & differs[tested]
    called = called_genes(p_values[tested], at, null=null)
    result |= {"recall": called.recall}
    if called.null_called is not None:
        result["shuffled genes called"] = called.null_called
    return result


def _permuted(output: Output, case: Case, seed: int) -> dict[str, float]:
    """Random halves of the largest group: 5% of the genes should be below a p-value of 0.05."""
    if output.layer is None or case.labels is None:
        return {}
    cells = np.flatnonzero(case.labels == _two_largest(case.labels)[0])
    shares = permuted_false_positives(output.layer[cells], n_permutations=10, seed=seed)
    return {"called under permuted labels": shares.mean(), "worst permutation": shares.max()}


def _coexpression(output: Output, case: Case, seed: int) -> dict[str, float]:
    if output.layer is None or case.deep is None or case.null is None:
        return {}
    genes = _kept(case)
    deep = case.deep[:, genes]
    pairs = genes[strongest_pairs(deep, _PAIRS, min_mean=0.3 if case.expected else _DEEP)]
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.choice(case.null, _PAIRS), rng.choice(np.unique(pairs), _PAIRS)], axis=1)
    return {
        "true pairs": pair_correlations(output.layer, pairs).mean(),
        "true pairs, truth": pair_correlations(case.deep, pairs).mean(),
        "shuffled pairs": np.abs(pair_correlations(output.layer, shuffled)).mean(),
    }


def _labels(output: Output, case: Case, seed: int) -> dict[str, float]:
    if case.labels is None:
        return {}
    values = output.layer if output.latent is None else output.latent
    found = label_agreement(
        values, case.labels, embedding=output.latent is not None, resolutions=(0.2, 0.5, 1.0, 1.5), seed=seed
    )
    at_one = list(found.resolutions).index(1.0)
    return {
        "best ARI": np.max(found.ari),
        "ARI at resolution 1": found.ari[at_one],
        "clusters at resolution 1": found.n_clusters[at_one],
        "silhouette": found.silhouette,
    }


def _mixture(output: Output, case: Case, seed: int) -> dict[str, float]:
    if output.layer is None or case.proportions is None:
        return {}
    return {"R2 of proportions": mixture_r2(output.layer, case.proportions)}


def _rare(output: Output, case: Case, seed: int) -> dict[str, float]:
    if case.rare is None or case.markers is None:
        return {}
    result: dict[str, float] = {}
    if output.layer is not None:
        kept = marker_recall(output.layer, case.counts.toarray(), case.rare, case.markers)
        result["markers kept"] = np.median(kept)
    is_rare = np.isin(np.arange(case.counts.shape[0]), case.rare).astype(str)
    agreement = neighbour_agreement(_coordinates(output, seed), is_rare, n_neighbors=_NEIGHBOURS)
    return result | {"neighbours of rare cells": agreement[case.rare].mean()}


def _pseudotime(output: Output, case: Case, seed: int) -> dict[str, float]:
    if case.time is None:
        return {}
    values, root = (output.layer if output.latent is None else output.latent), int(np.nanargmin(case.time))
    found = diffusion_pseudotime(values, root, embedding=output.latent is not None, n_components=20, seed=seed)
    return {
        "correlation with time": pseudotime_correlation(found, case.time),
        "within branches": pseudotime_correlation(found, case.time, lineages=case.lineages),
    }


def _coverage(output: Output, case: Case, seed: int) -> dict[str, float]:
    """90% intervals of expected counts, where these are known and were not shuffled."""
    if output.interval is None or not case.expected or case.deep is None:
        return {}
    genes = _kept(case)
    lower, upper = (bound[:, genes] for bound in output.interval)
    depth = np.asarray(case.counts.sum(axis=1)).ravel()
    found = coverage(np.asarray(case.deep)[:, genes], lower, upper, level=0.9, depth=depth)
    return {"90% intervals hold": np.ravel(found.overall)[0], "in the shallowest quarter": np.ravel(found.by_depth)[0]}


def _kept(case: Case) -> np.ndarray:
    genes = np.arange(case.counts.shape[1])
    return genes if case.null is None else np.setdiff1d(genes, case.null)


def _means(counts: object) -> np.ndarray:
    return np.asarray(counts.mean(axis=0)).ravel()  # type: ignore[attr-defined]


def _two_largest(labels: np.ndarray) -> tuple[str, str]:
    names, sizes = np.unique(labels, return_counts=True)
    first, second = names[np.argsort(-sizes, kind="stable")[:2]]
    return first, second


def _coordinates(output: Output, seed: int) -> np.ndarray:
    """The latent factors as they are, or principal components of the log-normalised layer."""
    if output.latent is not None:
        return output.latent
    from sklearn.decomposition import PCA

    assert output.layer is not None
    values = np.log1p(output.layer * (1e4 / np.maximum(output.layer.sum(axis=1, keepdims=True), 1e-12)))
    return PCA(_COMPONENTS, svd_solver="randomized", random_state=seed).fit_transform(values)


TASKS: dict[str, Callable[[Output, Case, int], dict[str, float]]] = {
    "depth recovery": _depth,
    "differential expression": _differential,
    "permuted labels": _permuted,
    "co-expression": _coexpression,
    "labels": _labels,
    "mixtures": _mixture,
    "rare cells": _rare,
    "pseudotime": _pseudotime,
    "coverage": _coverage,
}
