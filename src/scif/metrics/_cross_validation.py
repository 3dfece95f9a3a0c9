"""Molecular cross-validation of any number of denoisers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scif.metrics._baselines import pooled_profile
from scif.metrics._cross_validation_result import CrossValidation
from scif.metrics._denoiser_output import denoised_matrix
from scif.metrics._matrix import as_counts
from scif.metrics._poisson import poisson_nll
from scif.metrics._scale import Scale, to_counts, wrong_scale
from scif.metrics._split import CountSplit, split_counts
from scif.metrics._tuned_svd import tuned_svd

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BASELINES", "molecular_cross_validation"]

#: What every denoiser has to beat.
BASELINES: dict[str, Callable[[Any], Any]] = {
    "no denoising": lambda adata: adata.X,
    "pooled profile": lambda adata: pooled_profile(adata.X),
    "tuned SVD": lambda adata: tuned_svd(adata.X),
}


def molecular_cross_validation(
    adata: AnnData | Any,
    methods: Mapping[str, Callable[[AnnData], Any]],
    *,
    n_splits: int = 3,
    layer: str | None = None,
    fraction: float = 0.9,
    min_cells: int = 3,
    scales: Mapping[str, Scale] | None = None,
    baselines: bool = True,
    seed: int = 0,
) -> CrossValidation:
    """Denoise part of the molecules with several methods, and score each method on the held-out molecules.

    Genes detected in fewer than ``min_cells`` cells, and cells and genes without training molecules, are dropped first.
    See :func:`split_counts` for the split and :func:`poisson_nll` for the score. If a method fails or returns values on
    another scale, only this method has no score; its row and a warning give the reason.

    Parameters
    ----------
    adata
        AnnData with counts, or a matrix of counts, cells x genes.
    methods
        Denoisers by name. Each is called with an AnnData whose ``X`` holds the training counts (CSR, float32), with
        ``obs`` and ``var`` of these cells and genes. It returns denoised values, cells x genes, as an array, sparse
        matrix, data frame or AnnData. Alternatively it returns None and replaces ``X`` or adds one layer, like scanpy
        functions.
    n_splits
        Number of independent splits, with seeds ``seed``, ``seed + 1``, ...
    layer
        Layer with the counts; default ``X``.
    fraction
        Expected fraction of the molecules used for training.
    min_cells
        Genes must be detected in at least this many cells.
    scales
        Scale of the values of each method, if it is not ``"counts"`` at the depth of the training counts; see
        :func:`to_counts`. Values on any other, undeclared scale get no score.
    baselines
        Also score no denoising, the pooled profile and the tuned SVD (:func:`tuned_svd`).
    seed
        Seed of the first split.

    Returns
    -------
    Scores and seconds per method and split, with the methods ``to_frame()`` and ``plot()``.

    Raises
    ------
    ValueError
        If values are not counts, if an argument is out of range, if ``scales`` names an unknown method, or if nothing
        is left after the split.

    Examples
    --------
    >>> from scif.datasets import pbmc68k_counts
    >>> from scif.metrics import molecular_cross_validation, truncated_svd
    >>> result = molecular_cross_validation(pbmc68k_counts(), {"SVD": lambda a: truncated_svd(a.X, 10)}, n_splits=2)
    >>> result.to_frame()["poisson_nll"].round(3).to_dict()
    {'SVD': 0.193, 'no denoising': 0.38, 'pooled profile': 0.22, 'tuned SVD': 0.191}
    """
    from anndata import AnnData

    if n_splits < 1:
        msg = f"n_splits is {n_splits}; give at least 1."
        raise ValueError(msg)
    unknown = sorted(set(scales or {}) - set(methods))
    if unknown:
        msg = f"scales names {unknown}, which are not among the methods {list(methods)}."
        raise ValueError(msg)
    if not isinstance(adata, AnnData):
        adata = AnnData(as_counts(adata))
    counts = as_counts(adata.X if layer is None else adata.layers[layer], name=layer or "X")
    chosen = dict(methods) | ({n: m for n, m in BASELINES.items() if n not in methods} if baselines else {})
    scores, seconds = np.full((2, len(chosen), n_splits), np.nan)
    problems = dict.fromkeys(chosen, "")
    for i in range(n_splits):
        training, split = _training_set(adata, counts, min_cells=min_cells, fraction=fraction, seed=seed + i)
        for row, (name, denoise) in enumerate(chosen.items()):
            if problems[name]:
                continue
            begin = time.perf_counter()
            try:
                prediction = _prediction(name, denoise, training, split, (scales or {}).get(name, "counts"))
                scores[row, i] = poisson_nll(prediction, split.test, scale=split.scale)
            except Exception as error:  # noqa: BLE001  (whatever a stranger's function raises, the others count)
                problems[name] = f"split {i}: {type(error).__name__}: {error}"
                warnings.warn(f"{name!r} has no score in split {i}: {error}", stacklevel=2)
            seconds[row, i] = time.perf_counter() - begin
    own = tuple(name not in BASELINES or name in methods for name in chosen)
    return CrossValidation(tuple(chosen), scores, seconds, tuple(problems.values()), own)


def _training_set(
    adata: AnnData, counts: Any, *, min_cells: int, fraction: float, seed: int
) -> tuple[AnnData, CountSplit]:
    from anndata import AnnData

    seen = counts.getnnz(axis=0) >= min_cells
    split = split_counts(counts[:, seen], fraction, seed=seed)
    cells, genes = (split.train.getnnz(axis=axis) > 0 for axis in (1, 0))
    split = CountSplit(split.train[cells][:, genes], split.test[cells][:, genes])
    if split.train.nnz == 0 or split.test.nnz == 0:
        msg = (
            f"a split of {counts.sum():.0f} molecules with fraction={fraction:g} and min_cells={min_cells} leaves "
            f"{split.train.sum():.0f} for training and {split.test.sum():.0f} for the score; "
            "change fraction, or lower min_cells."
        )
        raise ValueError(msg)
    obs, var = adata.obs.loc[cells], adata.var.iloc[np.flatnonzero(seen)[genes]]
    return AnnData(split.train.astype(np.float32), obs=obs.copy(), var=var.copy()), split


def _prediction(
    name: str, denoise: Callable[[AnnData], Any], training: AnnData, split: CountSplit, scale: Scale
) -> Any:
    """Expected counts at the depth of training; an error where the values are on another scale."""
    own = training.copy()  # a method may write into it
    values = denoised_matrix(denoise(own), own, training)
    prediction = to_counts(values, split.train, scale=scale)
    mend = wrong_scale(prediction, split.train, name=name) if scale == "counts" else None
    if mend is not None:
        raise ValueError(mend)
    return prediction
