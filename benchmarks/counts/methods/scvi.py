"""scVI (Lopez et al., Nature Methods 2018) with scvi-tools' defaults and a negative binomial likelihood."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import anndata as ad
import numpy as np
import scipy.sparse as sp
import scvi as scvi_tools
from benchmarks.counts.methods._scale import library_size, to_library
from scvi.model import SCVI

__all__ = ["fit"]


def fit(
    counts: sp.csr_matrix, *, seed: int, n_latent: int = 10, early_stopping: bool = False
) -> Callable[[], np.ndarray]:
    """Train for scvi-tools' default number of epochs (400 up to 20,000 cells), or until a tenth of the cells is worse.

    With ``early_stopping`` training ends when the evidence bound of a tenth of the cells has not risen for 45 epochs,
    the package's own rule.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    scvi_tools.settings.seed = seed
    adata = ad.AnnData(counts.astype(np.float32))
    SCVI.setup_anndata(adata)
    model = SCVI(adata, gene_likelihood="nb", n_latent=n_latent)
    stopping = {"early_stopping": True, "train_size": 0.9} if early_stopping else {}
    model.train(accelerator="cpu", enable_progress_bar=False, **stopping)
    return lambda: to_library(model.get_normalized_expression(return_numpy=True), library_size(counts))
