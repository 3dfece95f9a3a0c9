"""``python -m benchmarks.shares``: where the time of training the count model goes, stage by stage."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import anndata as ad
import pandas as pd
from benchmarks.report import markdown, replace_table

from scif.datasets import simulate_counts
from scif.model import ICM

HERE = Path(__file__).parent


def main() -> None:
    """Train once with the defaults, then write the seconds of the fit report as shares of the whole."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--cells", type=int, default=2_000)
    parser.add_argument("--genes", type=int, default=15_000)
    parser.add_argument("--depth", type=float, default=2_000.0, help="molecules in the median cell")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    adata = ad.AnnData(simulate_counts(options.cells, options.genes, depth=options.depth, truth=False, seed=0).X)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    began = time.perf_counter()
    model.train(enable_progress_bar=False)
    total = time.perf_counter() - began
    seconds = {record.stage.replace("_", " "): record.seconds for record in model.fit_report_.stages}
    seconds["everything else"] = total - sum(seconds.values())
    shares = [100 * value / total for value in seconds.values()]
    table = markdown(pd.DataFrame({"stage": list(seconds), "share of the time (%)": shares}), digits=(0, 1))
    replace_table(HERE / "README.md", f"{table}\n\nThe whole took {total:.1f} s.")


if __name__ == "__main__":
    main()
