"""Record of what was done, beside a denoised layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import scif
from scif.model.identity import weights_id

if TYPE_CHECKING:
    from scif.model.icm import ICM

__all__ = ["record"]


def record(model: ICM, *, library_size: Any = None) -> dict[str, Any]:
    """Facts of a model and of the scale of its estimates, of types that files hold."""
    losses = (model.history or {}).get("validation_loss")
    own = "observed" if model.factor_unit_ is None else "size factor"
    named = library_size is None or isinstance(library_size, str)
    facts: dict[str, Any] = {
        "version": scif.__version__,
        "scale": "counts" if named else f"{float(library_size):g} per cell",
        "library_size": own if library_size in (None, "latent") else library_size if named else float(library_size),
        "noise": model.noise if isinstance(model.noise, str) else type(model.noise).__name__,
        "model_id": weights_id(model.module),
        "n_cells": int(model.summary_stats.n_cells),
        "n_genes": len(model.gene_names_),
    }
    if losses is not None and np.isfinite(losses.to_numpy(dtype=float)).any():
        facts["held_out_loss"] = round(float(np.nanmin(losses.to_numpy(dtype=float))), 6)
    return facts
