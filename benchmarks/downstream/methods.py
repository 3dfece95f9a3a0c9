"""The denoisers compared: each gives one or several outputs from one fit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import anndata as ad
import numpy as np
import scipy.sparse as sp

from scif.metrics import tuned_svd
from scif.model import ICM

__all__ = ["FITS", "Output"]

_DRAWS, _LEVEL = 20, 0.9
"""Draws behind an interval where the getter has no quantiles, and its nominal share."""


@dataclass(frozen=True)
class Output:
    """A layer of expected or drawn counts, coordinates of cells, or both; bounds of intervals where there are any."""

    layer: np.ndarray | None = None
    latent: np.ndarray | None = None
    interval: tuple[np.ndarray, np.ndarray] | None = None


Outputs = dict[str, Output]


def _counts(counts: sp.csr_matrix, seed: int) -> Outputs:
    return {"counts": Output(counts.toarray().astype(np.float32))}


def _svd(counts: sp.csr_matrix, seed: int) -> Outputs:
    return {"tuned SVD": Output(np.asarray(tuned_svd(counts, seed=seed)))}


def _magic(counts: sp.csr_matrix, seed: int) -> Outputs:
    from benchmarks.counts.methods.diffusion import fit

    return {"MAGIC": Output(fit(counts, seed=seed)())}


def _dca(counts: sp.csr_matrix, seed: int) -> Outputs:
    from benchmarks.counts.methods.dca_style import fit

    return {"DCA-style": Output(fit(counts, seed=seed)())}


def _scvi(counts: sp.csr_matrix, seed: int, *, early_stopping: bool = False) -> Outputs:
    import scvi
    from benchmarks.counts.methods._scale import library_size, to_library

    scvi.settings.seed = seed
    adata = ad.AnnData(counts.astype(np.float32))
    scvi.model.SCVI.setup_anndata(adata)
    model = scvi.model.SCVI(adata, gene_likelihood="nb")
    stopping = {"early_stopping": True, "train_size": 0.9} if early_stopping else {}
    model.train(accelerator="cpu", enable_progress_bar=False, **stopping)
    layer = to_library(model.get_normalized_expression(return_numpy=True), library_size(counts))
    name = "scVI, early stopping" if early_stopping else "scVI"
    return {name: Output(layer), f"{name}, latent": Output(latent=model.get_latent_representation())}


def _scvi_early(counts: sp.csr_matrix, seed: int) -> Outputs:
    return _scvi(counts, seed, early_stopping=True)


def _icm(counts: sp.csr_matrix, seed: int) -> Outputs:
    adata = ad.AnnData(counts.astype(np.float32))
    ICM.setup_anndata(adata)
    model = ICM(adata, seed=seed)
    model.train(enable_progress_bar=False)
    draws = model.get_denoised(estimator="sample", n_samples=_DRAWS, return_mean=False)
    bounds = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    outputs = {
        "ICM mean": Output(model.get_denoised(estimator="mean"), interval=(bounds[0], bounds[1])),
        "ICM transport": Output(model.get_denoised(estimator="transport")),
        "ICM draw": Output(np.asarray(draws[0])),
    }
    if hasattr(model, "get_latent_representation"):
        outputs["ICM latent"] = Output(latent=np.asarray(model.get_latent_representation()))
    else:
        print("ICM has no get_latent_representation yet: its latent factors are skipped", flush=True)
    return outputs


def _quiet(fit: Callable[[sp.csr_matrix, int], Outputs]) -> Callable[[sp.csr_matrix, int], Outputs]:
    def quietly(counts: sp.csr_matrix, seed: int) -> Outputs:
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit(counts, seed)

    return quietly


FITS: dict[str, Callable[[sp.csr_matrix, int], Outputs]] = {
    name: _quiet(fit)
    for name, fit in {
        "counts": _counts,
        "svd": _svd,
        "magic": _magic,
        "dca": _dca,
        "scvi": _scvi,
        "scvi-early": _scvi_early,
        "icm": _icm,
    }.items()
}
