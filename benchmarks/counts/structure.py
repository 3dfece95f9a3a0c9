"""``python -m benchmarks.counts.structure``: lines of the count model by stage, and a trace of a default run.

The trace counts the files that are entered after the last gradient on 300 cells x 120 genes, and the moves between
them. The table goes between the markers ``structure`` of ``docs/method.md``.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.report import markdown, replace_table

import scif

__all__ = ["lines", "trace"]

ROOT = Path(scif.__file__).parent
COUNTS = ROOT / "counts"
PAGE = Path(__file__).parents[2] / "docs" / "method.md"
#: Files of each stage with those that only it uses, and its measured effect (rows of ``tried.md``).
STAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "start": (
        (
            "initial",
            "stages/start",
            "stages/batches",
            "data/offsets",
            "statistics/log_linear",
            "statistics/clusters",
            "statistics/normalise",
        ),
        "the rest builds on it",
    ),
    "network": (
        ("stages/network", "network", "likelihood", "training", "objective", "consistency", "options"),
        "the rest builds on it",
    ),
    "dispersion": (
        ("stages/dispersion", "statistics/shape_grid", "statistics/technical", "statistics/replicates"),
        "scores fall on every set without it",
    ),
    "loadings": (
        ("stages/loadings", "statistics/gene_regression", "statistics/shrinkage", "statistics/eigen"),
        "0.5%; with the prior off, too, 1.8%",
    ),
    "latent_prior": (
        (
            "stages/latent_prior",
            "statistics/mixture",
            "statistics/cell_information",
            "posterior/latent",
            "posterior/laplace",
            "posterior/drawn_dispersion",
            "posterior/composition",
        ),
        "0.2 to 0.8%, and the variances of transport",
    ),
    "shared_genes": (
        (
            "stages/shared_genes",
            "statistics/score_test",
            "statistics/large_genes",
            "statistics/regressed",
            "statistics/independent_genes",
        ),
        "a guarantee: shuffled genes stay uncorrelated",
    ),
    "depth_trend": (
        ("stages/depth_trend", "statistics/depth_regression"),
        "a guarantee: spike-ins do not follow depth",
    ),
    "cell_scale": (("stages/cell_scale", "posterior/cell_scale"), "unusual cells keep their own counts"),
    "gene_totals": (("stages/gene_totals",), "a guarantee: totals of genes are kept"),
    "outlier counts": (("posterior/outliers",), "a guarantee: markers of a few cells are kept"),
}


def lines() -> pd.DataFrame:
    """Lines of code of each stage, and its effect."""
    rows = []
    for stage, (files, effect) in STAGES.items():
        count = sum(len((COUNTS / f"{name}.py").read_text().splitlines()) for name in files)
        rows.append({"stage": stage, "files": str(len(files)), "lines": f"{count:,}", "share of the gain": effect})
    return pd.DataFrame(rows)


def trace() -> tuple[int, int]:
    """Files entered after the last gradient of a default run, and moves between them."""
    adata = scif.datasets.simulate_counts(300, 120, seed=0)
    scif.model.ICM.setup_anndata(adata)
    model = scif.model.ICM(adata)
    files: list[str] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(str(ROOT)):
            if frame.f_code.co_name == "run_stages":
                files.clear()  # what came before belongs to the network
            files.append(name)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sys.setprofile(watch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.train(max_epochs=6, enable_progress_bar=False)
    finally:
        sys.setprofile(None)
        torch.set_num_threads(threads)
    moves = sum(first != second for first, second in zip(files, files[1:], strict=False))
    return len(set(files)), moves


def main() -> None:
    """Print and write the table."""
    sizes = [len(path.read_text().splitlines()) for path in sorted(COUNTS.rglob("*.py"))]
    files, moves = trace()
    text = markdown(lines(), digits=(0,) * 4)
    text += (
        f"\n\n`scif.counts` has {sum(sizes):,} lines in {len(sizes)} files; the median file has "
        f"{int(np.median(sizes))} lines, the longest {max(sizes)}. After the last gradient a default run enters "
        f"{files} files, with {moves:,} moves between them."
    )
    print(text)
    replace_table(PAGE, text, name="structure")


if __name__ == "__main__":
    main()
