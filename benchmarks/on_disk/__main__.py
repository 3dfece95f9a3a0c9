"""``python -m benchmarks.on_disk``: training from counts that stay on disk, against the same counts in memory."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from benchmarks.counts.usage import measured
from benchmarks.report import keep, markdown, replace_table

from scif.datasets import simulate_counts
from scif.model import ICM

HERE = Path(__file__).parent


def _lazy(path: Path) -> ad.AnnData:
    counts = ad.experimental.read_elem_lazy(h5py.File(path)["X"])
    return ad.AnnData(counts, obs=pd.DataFrame(index=np.arange(counts.shape[0]).astype(str)))


#: Where the counts are: the compression of the file, and how it is opened.
WAYS: dict[str, tuple[str | None, Callable[[Path], ad.AnnData]]] = {
    "memory": (None, ad.read_h5ad),
    "backed": (None, lambda path: ad.read_h5ad(path, backed="r")),
    "backed, gzip": ("gzip", lambda path: ad.read_h5ad(path, backed="r")),
    "dask, gzip": ("gzip", _lazy),
}


def one(way: str, path: Path) -> dict[str, Any]:
    """Open, register and train in this process."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    def train() -> None:
        adata = WAYS[way][1](path)
        ICM.setup_anndata(adata)
        ICM(adata).train(enable_progress_bar=False)

    _, usage = measured(train)
    return {"method": way, "seed": 0, "seconds": usage.seconds, "peak_mb": usage.peak_mb}


def summary(results: pd.DataFrame) -> str:
    """Time as a ratio to that in memory, and the peak of memory."""
    table = pd.DataFrame(
        {
            "counts": results["method"],
            "time relative to memory": results["seconds"] / results.set_index("method").loc["memory", "seconds"],
            "seconds": results["seconds"],
            "peak memory (MiB)": results["peak_mb"],
        }
    )
    return markdown(table, digits=(0, 2, 1, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_disk", description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FILE"), help="measure here, and print the figures as JSON")
    options = parser.parse_args()
    if options.one is not None:
        sys.stdout.write(json.dumps(one(options.one[0], Path(options.one[1]))) + "\n")
        return
    path = options.out / "results.csv"
    counts = ad.AnnData(simulate_counts(options.cells, options.genes, depth=2_000.0, truth=False, seed=0).X)
    with tempfile.TemporaryDirectory() as scratch:
        for way, (compression, _) in WAYS.items():  # each in a process of its own, as its peak of memory is
            file = Path(scratch) / f"{compression}.h5ad"
            if not file.exists():
                counts.write_h5ad(file, compression=compression)
            command = [sys.executable, "-m", "benchmarks.on_disk", "--one", way, str(file)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            row = json.loads(printed.splitlines()[-1])
            print(row, flush=True)
            keep(path, pd.DataFrame([row]), WAYS)
    replace_table(options.out / "README.md", summary(pd.read_csv(path)))


if __name__ == "__main__":
    main()
