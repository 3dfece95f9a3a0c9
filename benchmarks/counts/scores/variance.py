"""Is the variance of genes that of the signal? As held-out molecules tell, on real cells, too."""

from __future__ import annotations

import numpy as np
from benchmarks.counts.task import Task

from scif.metrics import gene_variances

__all__ = ["gene_variance"]


def gene_variance(denoised: np.ndarray, task: Task) -> dict[str, float]:
    """Denoised over true variance of rates, of the more abundant half of the genes; nothing where none is seen."""
    found = gene_variances(denoised, task.train, task.test)
    try:
        return {"gene_variance": found.kept()}
    except ValueError:  # too few molecules to see any
        return {}
