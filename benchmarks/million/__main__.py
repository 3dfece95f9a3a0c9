"""``python -m benchmarks.million``: a million cells on disk, trained on and denoised to disk in bounded memory."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import torch
import zarr
from benchmarks.counts.usage import measured
from benchmarks.million.simulate import write_counts
from benchmarks.report import keep, markdown, replace_table

from scif.counts.data.dataset import CountDataset
from scif.model import ICM

HERE = Path(__file__).parent
#: Steps, in order, and what they are in words.
STEPS = {
    "simulate": "simulate and write",
    "plain read": "plain reading of the counts",
    "plain write": "plain writing of the result",
    "read": "read minibatches, shuffled",
    "set up": "set up: check every count",
    "train": "train one epoch, all stages",
    "epoch": "of which the network's epoch",
    "denoise": "denoise, values dropped",
    "write": "denoise to zarr",
}
#: Bytes at a time, where bytes are read or written plainly.
BLOCK = 2**24


def forget(path: Path) -> None:
    """Take a file out of the system's memory, so that the next reading comes from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def stored(counts: Path) -> int:
    """Bytes of the values and columns of sparse counts."""
    with h5py.File(counts) as file:
        return sum(file["X"][part].id.get_storage_size() for part in ("data", "indices", "indptr"))


def plain_read(counts: Path) -> int:
    """Read the file from end to end; its bytes."""
    total = 0
    with counts.open("rb", buffering=0) as file:
        while part := file.read(BLOCK):
            total += len(part)
    return total


def plain_write(path: Path, size: int) -> int:
    """Write so many bytes; they are on disk when this returns."""
    block = np.random.default_rng(0).bytes(BLOCK)
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - start)])
        os.fsync(file.fileno())
    return size


class Nowhere:
    """Takes rows as an array does, and drops them."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def __setitem__(self, where: Any, values: np.ndarray) -> None:
        """Drop them."""


def opened(counts: Path) -> ad.AnnData:
    adata = ad.read_h5ad(counts, backed="r")
    ICM.setup_anndata(adata)
    return adata


def one(step: str, scratch: Path, *, cells: int, genes: int, depth: float) -> dict[str, Any]:
    """One step in this process."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    counts, model, size = scratch / "counts.h5ad", scratch / "model", 4 * cells * genes
    if step != "simulate":
        forget(counts)
    if step == "simulate":
        _, usage = measured(lambda: write_counts(counts, cells, genes, depth=depth, seed=0))
        size = stored(counts)
    elif step == "plain read":
        size, usage = measured(lambda: plain_read(counts))
    elif step == "plain write":
        _, usage = measured(lambda: plain_write(scratch / "plain", size))
        (scratch / "plain").unlink()
    elif step == "read":

        def read() -> int:
            dataset = CountDataset(ad.read_h5ad(counts, backed="r").X)
            loader = dataset.shuffled(batch_size=512, generator=torch.Generator().manual_seed(0))
            return sum(batch.x.num_cells for batch in loader)

        seen, usage = measured(read)
        assert seen == cells
        size = stored(counts)
    elif step == "set up":
        _, usage = measured(lambda: opened(counts))
        size = stored(counts)
    elif step == "train":
        trained = ICM(opened(counts))
        _, usage = measured(lambda: trained.train(max_epochs=1, enable_progress_bar=False))
        trained.save(model)
        size = stored(counts)
        pd.DataFrame([{"stage": s.stage, "seconds": s.seconds} for s in trained.fit_report_.stages]).to_csv(
            scratch / "stages.csv", index=False
        )
    else:
        loaded = ICM.load(model, adata=opened(counts))
        if step == "denoise":
            _, usage = measured(lambda: loaded.get_denoised(out=Nowhere((cells, genes))))
        else:
            _, usage = measured(lambda: loaded.denoise_to(scratch / "denoised.zarr", silent=True))
            check(scratch / "denoised.zarr", counts)
            shutil.rmtree(scratch / "denoised.zarr")
    return {
        "method": step,
        "seed": 0,
        "cells": cells,
        "genes": genes,
        "bytes": size,
        "seconds": usage.seconds,
        "cpu_s": usage.cpu_seconds,
        "peak_mb": usage.peak_mb,
    }


def check(denoised: Path, counts: Path) -> None:
    """Some cells of the result have the sums of their counts."""
    layer = ad.experimental.read_elem_lazy(zarr.open_group(denoised, mode="r")["layers/denoised"])
    x = ad.read_h5ad(counts, backed="r").X
    for start in np.linspace(0, layer.shape[0] - 100, 5).astype(int):
        rows = slice(int(start), int(start) + 100)
        np.testing.assert_allclose(layer[rows].compute().sum(1), np.asarray(x[rows].sum(1)).ravel(), rtol=1e-3)


def summary(results: pd.DataFrame, stages: pd.DataFrame) -> str:
    """Cells per second, and as a share of plain reading and writing of the same bytes; of training, its epoch, too."""
    rows = results.set_index("method")
    epoch = rows.loc[["train"]].assign(seconds=stages.set_index("stage").loc["network", "seconds"], cpu_s=np.nan)
    rows = pd.concat([rows, epoch.set_axis(["epoch"])]).loc[[step for step in STEPS if step in {*rows.index, "epoch"}]]
    speed = rows["bytes"] / rows["seconds"]
    lines = []
    for step in rows.index:
        row = rows.loc[step]
        kind = "write" if step in ("plain write", "denoise", "write") else "read"
        share = speed[step] / speed[f"plain {kind}"]
        lines.append(
            {
                "step": STEPS[step],
                "seconds": row["seconds"],
                "CPU seconds": "" if np.isnan(row["cpu_s"]) else f"{row['cpu_s']:.0f}",
                "cells / s": f"{row['cells'] / row['seconds']:,.0f}",
                "GB": row["bytes"] / 1e9,
                "fraction of plain speed": "" if step == "simulate" else f"{share:.3f} ({kind})",
                "peak memory (MiB)": row["peak_mb"],
            }
        )
    last = results.iloc[-1]
    said = f"{last['date']}, {last['machine']}, commit {results['commit'].unique()[-1]}; other work ran on the machine."
    return markdown(pd.DataFrame(lines), digits=(0, 0, 0, 0, 2, 0, 0)) + f"\n\n{said}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--depth", type=float, default=1_500.0, help="expected molecules in a mean cell")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--scratch", type=Path, help="folder for about 30 GB; kept, with its files, if given")
    steps = [step for step in STEPS if step != "epoch"]
    parser.add_argument("--steps", nargs="*", choices=steps, default=steps)
    parser.add_argument("--one", choices=steps, help="measure this step here, and print the figures as JSON")
    options = parser.parse_args()
    size = {"cells": options.cells, "genes": options.genes, "depth": options.depth}
    if options.one is not None:
        sys.stdout.write(json.dumps(one(options.one, options.scratch, **size)) + "\n")
        return
    scratch = options.scratch or Path(tempfile.mkdtemp())
    scratch.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.csv"
    for step in options.steps:  # each in a process of its own, whose peak of memory is its own, too
        arguments = [part for name, value in size.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "benchmarks.million", "--one", step, "--scratch", str(scratch), *arguments]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(printed.splitlines()[-1])
        print(row, flush=True)
        keep(path, pd.DataFrame([row]), STEPS)
    if (scratch / "stages.csv").exists():
        shutil.copy(scratch / "stages.csv", options.out / "stages.csv")
    if options.scratch is None:
        shutil.rmtree(scratch)
    stages = pd.read_csv(options.out / "stages.csv")
    replace_table(options.out / "README.md", summary(pd.read_csv(path), stages))


if __name__ == "__main__":
    main()
