"""``python -m benchmarks.counts.coverage``: do the model's intervals hold what they should hold?

Jobs are ``simulated-DEPTH`` (expectations that a few factors explain), ``varied-DEPTH`` (genes vary on their own, too),
``scdesign-DEPTH`` (a simulator that we did not write, of counts, of which most molecules are held out) and
``SET@SHARE`` (real cells; trained on that share of the molecules). Our simulations are judged by the expected counts at
the observed library size, the others by predictive intervals of held-out molecules. A row that exists is not run again
(``--again`` runs it); the table between the markers of ``--readme`` is written from all rows.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from benchmarks.counts.data import load
from benchmarks.report import keep, markdown, provenance, replace_table

from scif.datasets import simulate_counts
from scif.metrics import Coverage, coverage, predictive_coverage, randomised_pit, split_counts
from scif.model import ICM

__all__ = ["JOBS", "run", "table"]

RESULTS = Path(__file__).parent / "measured" / "coverage" / "results.csv"
DEPTHS = (300, 1000, 3000, 8000)
CELLS, GENES, SHAPE = 700, 600, 5.0
"""Size of simulations, and median gamma shape of the gene-specific variation of ``varied``."""
LEVELS = (0.5, 0.8, 0.9, 0.95)
JOBS = (
    *(f"{kind}-{depth}" for kind in ("simulated", "varied") for depth in DEPTHS),
    *(f"scdesign-{depth}" for depth in DEPTHS),
    "pbmc68k@0.8",
    "pbmc68k@0.5",
    "sc_celseq2-part-274x1500@0.1",
    "sc_celseq2-part-274x1500@0.8",
    "paul15-part-700x1000@0.5",
    "mouse_bladder_cell_select_2100-part-700x1000@0.5",
)


@dataclass(frozen=True)
class Case:
    """Counts to train on, and expected counts or held-out molecules, cells x genes."""

    counts: sp.csr_matrix
    truth: np.ndarray | None = None
    held_out: sp.csr_matrix | None = None


def make_case(job: str, *, directory: Path | None, seed: int) -> Case:
    """Draw a case; cells without counts and genes seen in fewer than three cells are left out."""
    if "@" in job:
        name, share = job.split("@")
        split = split_counts(load(name, directory).counts, float(share), seed=seed)
        return _seen(Case(split.train, held_out=split.test))
    kind, depth = job.split("-")
    if kind == "scdesign":
        from benchmarks.downstream.scdesign import simulate

        counts, _ = simulate(directory, cells=CELLS, genes=GENES, seed=seed)
        split = split_counts(counts, min(float(depth) / (counts.sum() / counts.shape[0]), 0.8), seed=seed)
        return _seen(Case(split.train, held_out=split.test))
    adata = simulate_counts(CELLS, GENES, depth=float(depth), seed=seed)
    truth = np.asarray(adata.layers["truth"], dtype=np.float64)
    if kind == "simulated":
        return _seen(Case(sp.csr_matrix(adata.X), truth=truth))
    rng = np.random.default_rng([seed, 1])
    shapes = SHAPE * rng.lognormal(0.0, 0.7, GENES)
    truth *= rng.gamma(shapes, 1.0 / shapes, truth.shape)
    return _seen(Case(sp.csr_matrix(rng.poisson(truth)), truth=truth))


def _seen(case: Case) -> Case:
    genes = case.counts.getnnz(axis=0) >= 3
    cells = np.asarray(case.counts[:, genes].sum(1)).ravel() > 0
    parts = (None if part is None else part[cells][:, genes] for part in (case.truth, case.held_out))
    return Case(case.counts[cells][:, genes], *parts)


def run(job: str, *, directory: Path | None, seed: int) -> list[dict[str, Any]]:
    """Train on one case; returns a row for each level."""
    case = make_case(job, directory=directory, seed=seed)
    adata = ad.AnnData(case.counts.astype(np.float32))
    ICM.setup_anndata(adata)
    model = ICM(adata, seed=seed)
    model.train(enable_progress_bar=False)
    start = time.perf_counter()
    found = _coverage(model, case)
    row: dict[str, Any] = {"job": job, "seed": seed, "cells": adata.n_obs, "genes": adata.n_vars}
    row |= {"depth": case.counts.sum() / adata.n_obs, "seconds": time.perf_counter() - start} | _draws(model, case)
    rows = []
    for i, level in enumerate(LEVELS):
        here = row | {"level": level, "overall": found.overall[i]}
        here |= {f"expression_{j + 1}": found.by_expression[i, j] for j in range(4)}
        here |= {f"depth_{j + 1}": found.by_depth[i, j] for j in range(4)}
        rows.append(here | provenance())
    return rows


def _coverage(model: ICM, case: Case) -> Coverage:
    library = np.asarray(case.counts.sum(1)).ravel()
    if case.held_out is not None:
        mean, sd = model.get_denoised(return_std=True)
        scale = np.asarray(case.held_out.sum(1)).ravel() / library
        shape = np.square(mean / np.maximum(sd, 1e-12))
        pit = randomised_pit(case.held_out, mean * scale[:, None], shape=np.maximum(shape, 1e-6), seed=0)
        return predictive_coverage(pit, levels=LEVELS, expression=mean.mean(0), depth=library)
    assert case.truth is not None
    truth = case.truth * (library / case.truth.sum(1))[:, None]
    ends = [share for level in LEVELS for share in ((1 - level) / 2, (1 + level) / 2)]
    quantiles = model.get_denoised(quantiles=ends)
    parts = [
        coverage(truth, quantiles[2 * i], quantiles[2 * i + 1], level=level, expression=truth.mean(0), depth=library)
        for i, level in enumerate(LEVELS)
    ]
    shares = (np.concatenate([getattr(p, n) for p in parts]) for n in ("overall", "by_expression", "by_depth"))
    return Coverage(np.array(LEVELS), *shares)


def _draws(model: ICM, case: Case) -> dict[str, float]:
    """Draws of counts against the counts: variance of the gene at the median, and share of zeros."""
    drawn = model.posterior_predictive_sample(n_samples=5).astype(np.float64)
    counts = case.counts.toarray()
    ratio = drawn.var(axis=1).mean(axis=0) / counts.var(axis=0)
    return {"variance": float(np.median(ratio)), "zeros": float((drawn == 0).mean() - (counts == 0).mean())}


def table(rows: pd.DataFrame, *, level: float = 0.9) -> str:
    """One line a job, means over seeds, at one level."""
    wanted = rows[np.isclose(rows["level"], level)]
    shares = ["overall", *(f"{kind}_{i}" for kind in ("expression", "depth") for i in range(1, 5))]
    means = wanted.groupby("job")[[*shares, "depth", "variance", "zeros"]].mean()
    lines = []
    for job in (job for job in JOBS if job in means.index):
        found, some = means.loc[job], wanted[wanted["job"] == job]
        line = {"cells": job, "seeds": str(some["seed"].nunique()), "molecules": f"{found['depth']:,.0f}"}
        line["judged by"] = "held-out molecules" if "@" in job or job.startswith("scdesign") else "expected counts"
        line["overall"] = f"{found['overall']:.3f}"
        for kind in ("expression", "depth"):
            line[f"quarters of {kind}"] = " ".join(f"{found[f'{kind}_{i}']:.3f}" for i in range(1, 5))
        line |= {"variance of draws": f"{found['variance']:.2f}", "zeros of draws": f"{found['zeros']:+.3f}"}
        line["date"] = str(some["date"].max())
        lines.append(line)
    return markdown(pd.DataFrame(lines), digits=(0,) * len(lines[0])) if lines else "No rows yet."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then print and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.coverage", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of .h5ad, .h5 and .count.csv.gz files")
    parser.add_argument("--jobs", nargs="+", default=list(JOBS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--again", action="store_true", help="run rows that exist, too")
    parser.add_argument("--report-only", action="store_true", help="only the table, from the rows that exist")
    parser.add_argument("--readme", type=Path, help="put the table between this file's markers 'coverage'")
    options = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = set()
    if RESULTS.exists() and not options.again:
        known = set(pd.read_csv(RESULTS)[["job", "seed"]].itertuples(index=False, name=None))
    for job in [] if options.report_only else options.jobs:
        for seed in options.seeds:
            if (job, seed) not in known:
                rows = pd.DataFrame(run(job, directory=options.data, seed=seed))
                keep(RESULTS, rows, keys=("job", "seed", "level"))
                print(rows.iloc[2][["job", "overall", "seconds"]].to_dict(), flush=True)
    text = table(pd.read_csv(RESULTS))
    print(text)
    if options.readme:
        replace_table(options.readme, text, name="coverage")


if __name__ == "__main__":
    main()
