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


def fit(counts: sp.csr_matrix, *, seed: int) -> Callable[[], np.ndarray]:
    """Train for scvi-tools' default number of epochs (400 up to 20,000 cells)."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    scvi_tools.settings.seed = seed
    adata = ad.AnnData(counts.astype(np.float32))
    SCVI.setup_anndata(adata)
    model = SCVI(adata, gene_likelihood="nb")
    model.train(accelerator="cpu", enable_progress_bar=False)
    return lambda: to_library(model.get_normalized_expression(return_numpy=True), library_size(counts))
