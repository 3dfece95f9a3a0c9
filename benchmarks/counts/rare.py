"""``python -m benchmarks.counts.rare``: do a few cells of a kind of their own keep their markers in a large set?

Adds three rare kinds to simulated cells, each with markers that no other cell has, trains the model with its defaults
and says how much of the markers' molecules the estimates of these cells have. Writes the table into ``details.md``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.report import markdown, replace_table
from scipy import sparse

from scif.datasets import simulate_counts
from scif.model import ICM

README = Path(__file__).with_name("details.md")
#: Cells of each rare kind; its markers, and their molecules in a cell.
KINDS, MARKERS, MOLECULES = (6, 30, 120), 20, 600.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.rare", description=__doc__)
    parser.add_argument("--cells", type=int, default=60_000)
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    common = sparse.csr_matrix(simulate_counts(options.cells, 2000, depth=2000, truth=False, seed=0).X)
    rng = np.random.default_rng(1)
    kinds = np.split(rng.permutation(options.cells)[: sum(KINDS)], np.cumsum(KINDS)[:-1])
    own = sparse.lil_matrix((options.cells, MARKERS * len(KINDS)))
    for i, cells in enumerate(kinds):
        rates = MOLECULES * rng.dirichlet(np.ones(MARKERS)) * rng.lognormal(0.0, 0.3, (len(cells), MARKERS))
        own[np.ix_(cells, np.arange(MARKERS) + i * MARKERS)] = rng.poisson(rates)
    counts = sparse.csr_matrix(sparse.hstack([common, own]), dtype=np.float32)
    adata = ad.AnnData(counts)
    ICM.setup_anndata(adata)
    model = ICM(adata)
    model.train(enable_progress_bar=False)
    rows = []
    for i, cells in enumerate(kinds):
        markers = 2000 + i * MARKERS + np.arange(MARKERS)
        seen = counts[cells][:, markers].sum(1).A1
        row: dict[str, str] = {f"cells of {options.cells:,}": str(len(cells))}
        for kind in ("mean", "transport"):
            kept = model.get_denoised(indices=cells, estimator=kind)[:, markers].sum(1) / seen
            row[f"{kind}, median cell"], row[f"{kind}, worst cell"] = f"{np.median(kept):.2f}", f"{kept.min():.2f}"
        rows.append(row)
        print(row, flush=True)
    replace_table(README, markdown(pd.DataFrame(rows), digits=(0,) * len(rows[0])), name="rare")


if __name__ == "__main__":
    main()
