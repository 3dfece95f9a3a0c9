"""scif's own model with its default settings; an option changed only where the table of methods says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp

from scif.model import ICM

__all__ = ["fit"]


def fit(
    counts: sp.csr_matrix,
    *,
    seed: int,
    estimator: str = "mean",
    model: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
) -> Callable[[], np.ndarray]:
    """Set up, construct with ``model``, train with ``train``."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    adata = ad.AnnData(counts.astype(np.float32))
    ICM.setup_anndata(adata)
    fitted = ICM(adata, seed=seed, **(model or {}))
    fitted.train(enable_progress_bar=False, **(train or {}))
    return lambda: fitted.get_denoised(estimator=estimator)
