"""``python -m benchmarks.counts.spread``: does the transport keep the variance along the true principal components?

Trains the model with its defaults on several simulations and compares mean and transport estimates with the expected
counts, along each of the 20 first principal components of these. Writes the table into ``details.md``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.counts.scores.truth import component_variances
from benchmarks.report import markdown, replace_table

from scif.datasets import simulate_counts
from scif.model import ICM

README = Path(__file__).with_name("details.md")
SIMULATIONS: dict[str, dict[str, Any]] = {
    "500 molecules": {"depth": 500.0},
    "1,000": {"depth": 1000.0},
    "2,000": {"depth": 2000.0},
    "8,000": {"depth": 8000.0},
    "2,000, another seed": {"depth": 2000.0, "seed": 3},
    "2,000, a third seed": {"depth": 2000.0, "seed": 4},
    "2,000, 12 types, no trajectory": {"depth": 2000.0, "n_types": 12, "trajectory": False, "seed": 1},
    "2,000, 6,000 cells": {"depth": 2000.0, "n_cells": 6000, "seed": 5},
    "4,000, 8 types, 3,000 genes, 2 batches": {
        "depth": 4000.0, "n_types": 8, "n_genes": 3000, "n_batches": 2, "seed": 2,
    },
}  # fmt: skip


def ratios(**options: Any) -> dict[str, np.ndarray]:
    """Variance of each estimate over the truth's along the truth's components, ``(20,)``."""
    adata = simulate_counts(**({"seed": 0} | options))
    seen = adata[:, adata.X.getnnz(0) >= 3].copy()
    ICM.setup_anndata(seen, batch_key="batch" if options.get("n_batches", 1) > 1 else None)
    model = ICM(seen)
    model.train(enable_progress_bar=False)
    truth = np.asarray(seen.layers["truth"])
    return {kind: component_variances(model.get_denoised(estimator=kind), truth) for kind in ("mean", "transport")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.spread", description=__doc__)
    parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    rows = []
    for name, options in SIMULATIONS.items():
        row: dict[str, Any] = {"simulation": name}
        for kind, ratio in ratios(**options).items():
            row |= {f"{kind}, 1 to 9": _range(ratio[:9]), f"{kind}, 10 to 20": _range(ratio[9:])}
            row[f"{kind}, within 10%"] = str(int((np.abs(ratio - 1) <= 0.1).sum()))
        rows.append(row)
        print(row, flush=True)
    replace_table(README, markdown(pd.DataFrame(rows), digits=(0,) * len(rows[0])), name="spread")


def _range(values: np.ndarray) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"


if __name__ == "__main__":
    main()
