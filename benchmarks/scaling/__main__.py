"""``python -m benchmarks.scaling``: cost per cell and memory of the count model as the number of cells grows."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.counts.usage import measured
from benchmarks.report import keep, markdown, replace_table

from scif.datasets import simulate_counts
from scif.model import ICM

HERE = Path(__file__).parent


def resident_mb() -> float:
    """Memory of this process now, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def release() -> None:
    """Give memory that making the data has left behind back to the system, where the C library can (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def one(cells: int, *, genes: int, depth: float, epochs: int) -> dict[str, Any]:
    """Fit for a fixed number of epochs, and denoise into a file, in this process."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    counts = simulate_counts(cells, genes, depth=depth, truth=False, seed=0).X.astype(np.float32)
    ICM.setup_anndata(adata := ad.AnnData(counts))
    release()
    held = resident_mb()
    model = ICM(adata)
    settings = {"max_epochs": epochs, "batch_size": 512, "enable_progress_bar": False}
    _, fit = measured(lambda: model.train(**settings))
    with tempfile.TemporaryDirectory() as scratch:
        out = np.lib.format.open_memmap(Path(scratch) / "out.npy", mode="w+", dtype=np.float32, shape=counts.shape)
        _, denoise = measured(lambda: model.get_denoised(out=out))
    return {
        "method": f"{cells}",
        "seed": 0,
        "cells": cells,
        "input_mb": (counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes) / 2**20,
        "fit_cpu_s": fit.cpu_seconds,
        "denoise_cpu_s": denoise.cpu_seconds,
        "fit_extra_mb": fit.peak_mb - held,
    }


def summary(results: pd.DataFrame) -> str:
    """Processor milliseconds a cell, and of each cell more than in the row above; memory beyond the data."""
    cells = results["cells"]
    further = 1e3 * results["fit_cpu_s"].diff() / cells.diff()
    table = pd.DataFrame(
        {
            "cells": cells.map("{:,}".format),
            "fit, ms per cell": 1e3 * results["fit_cpu_s"] / cells,
            "fit, ms per additional cell": further.map("{:.3f}".format, na_action="ignore").fillna(""),
            "denoise, ms per cell": 1e3 * results["denoise_cpu_s"] / cells,
            "sparse input (MiB)": results["input_mb"],
            "additional memory of the fit (MiB)": results["fit_extra_mb"],
        }
    )
    return markdown(table, digits=(0, 3, 3, 3, 0, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--cells", type=int, nargs="*", default=[5_000, 20_000, 50_000, 200_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--depth", type=float, default=1_500.0, help="molecules in the median cell")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--one", type=int, help="measure this number of cells here, and print the figures as JSON")
    options = parser.parse_args()
    size = {"genes": options.genes, "depth": options.depth, "epochs": options.epochs}
    if options.one is not None:
        sys.stdout.write(json.dumps(one(options.one, **size)) + "\n")
        return
    path = options.out / "results.csv"
    for cells in options.cells:  # each in a process of its own, whose peak of memory is its own, too
        arguments = [part for name, value in size.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "benchmarks.scaling", "--one", str(cells), *arguments]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(printed.splitlines()[-1])
        print(row, flush=True)
        keep(path, pd.DataFrame([row]), map(str, sorted(options.cells)))
    replace_table(options.out / "README.md", summary(pd.read_csv(path).sort_values("cells")))


if __name__ == "__main__":
    main()
