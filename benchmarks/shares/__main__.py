"""``python -m benchmarks.shares``: where the time of training the count model goes."""

from __future__ import annotations

import argparse
import cProfile
import logging
import pstats
from pathlib import Path

import anndata as ad
import pandas as pd
from benchmarks.report import markdown, replace_table

from scif.datasets import simulate_counts
from scif.model import ICM

HERE = Path(__file__).parent
#: Functions by the part that they are: file and name as the profiler has them. None calls another.
PARTS = {
    "start: width, SVD, first variances": [("icm.py", "_start")],
    "waiting for minibatches, which are split already": [("_ahead.py", "ahead")],
    "anchor: network, likelihood and its gradient": [("_objective.py", "forward")],
    "backward, through the network": [("~", "<method 'run_backward' of 'torch._C._EngineBase' objects>")],
    "optimiser": [("~", "<built-in method torch._fused_adamw_>")],
    "average of the weights": [("ema.py", "update_parameters")],
    "held-out molecules": [("_plan.py", "validation_step")],
    "each gene's own variation": [("_residual.py", "fit_variation")],
    "scales of cells": [("_cell_scale.py", name) for name in ("expectations", "fit_cell_scale", "find_followers")],
    "credibility": [("_credibility.py", "fit_credibility")],
    "posterior means of the loadings": [("_loadings.py", name) for name in ("whiten_codes", "refit_loadings")],
    "prior of the latent codes (consistency)": [("_plan.py", "_fit_prior")],
    "collapse monitor": [("icm.py", "_judge")],
}


def shares(profile: cProfile.Profile) -> pd.Series:
    """Share of each part, and of everything else."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in stats.values())

    def seconds(file: str, name: str) -> float:
        return sum(row[3] for (path, _, label), row in stats.items() if Path(path).name == file and label == name)

    found = {part: sum(seconds(*function) for function in functions) for part, functions in PARTS.items()}
    found["everything else"] = total - sum(found.values())
    return pd.Series(found) / total


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--cells", type=int, default=2_000)
    parser.add_argument("--genes", type=int, default=15_000)
    parser.add_argument("--depth", type=float, default=2_000.0, help="molecules in the median cell")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    adata = ad.AnnData(simulate_counts(options.cells, options.genes, depth=options.depth, truth=False, seed=0).X)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    with cProfile.Profile() as profile:
        model.train(enable_progress_bar=False)
    found = shares(profile)
    table = pd.DataFrame({"part": found.index, "share of the time (%)": 100 * found.to_numpy()})
    replace_table(HERE / "README.md", markdown(table, digits=(0, 1)))


if __name__ == "__main__":
    main()
