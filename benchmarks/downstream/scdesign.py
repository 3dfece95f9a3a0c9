"""Cells of a simulator that we did not write: scdesigner, the model of scDesign3, fitted to the CEL-seq2 cells.

Negative binomial genes whose means follow the cell line, tied by a Gaussian copula with Ledoit-Wolf shrinkage.
"""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from benchmarks.counts.data import load

__all__ = ["simulate"]


def simulate(data: Path | None, *, cells: int = 500, genes: int = 1500, seed: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Deep counts ``(cells, genes)`` and the line of each cell; the package draws from the global random states."""
    from scdesigner.covariance import LedoitWolf
    from scdesigner.simulators import NegBinIRLSCopula

    whole = load(f"sc_celseq2-part-274x{genes}", data)
    assert whole.labels is not None
    counts = whole.counts.toarray().astype(np.float32)
    lines = pd.DataFrame({"line": pd.Categorical(whole.labels)}, index=[f"cell{i}" for i in range(len(counts))])
    names = pd.DataFrame(index=[f"gene{i}" for i in range(counts.shape[1])])
    adata = ad.AnnData(counts, obs=lines, var=names)
    simulator = NegBinIRLSCopula(mean_formula="~ line", dispersion_formula="~ 1", copula_formula="~ 1")
    simulator.copula.estimator = LedoitWolf()
    np.random.seed(seed)  # noqa: NPY002  (the package knows no generator)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        simulator.fit(adata)
        drawn = lines.sample(cells, replace=True, random_state=seed).reset_index(drop=True)
        drawn.index = drawn.index.astype(str)
        found = simulator.sample(obs=drawn)
    values = found.X.toarray() if sp.issparse(found.X) else np.asarray(found.X)
    return sp.csr_matrix(np.nan_to_num(values).round().astype(np.int32)), drawn["line"].astype(str).to_numpy()
