"""``python -m benchmarks.counts.batches``: known shifts between batches, and errors with and without the key.

Simulated cells of six types in several batches, whose genes differ by a known log-normal factor. Per case: the slope of
estimated on true log shifts when all cells are expressed as each batch in turn (``transform_batch``, genes above one
molecule a cell; 1 is right), of scif and of scVI; the slope of the denoised on the true means of the batches; the log
error with ``batch_key`` over that without. Results go to ``measured/batches.csv``, the table to ``batches.md``.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.report import keep, markdown, replace_table

import scif
from scif.datasets import _simulate

HERE = Path(__file__).parent
RESULTS = HERE / "measured" / "batches.csv"
GENES = 300
KEYS = ("cells", "batches", "effect", "shares", "seed", "method")


def simulated(cells: int, batches: int, effect: float, *, equal: bool, seed: int) -> tuple[ad.AnnData, np.ndarray]:
    """Counts with their truth, and the true log factors ``(batches, genes)``."""
    draw = {"n_batches": batches, "batch_effect": effect}
    adata = scif.datasets.simulate_counts(cells * (1 if equal else 4), GENES, depth=1500.0, seed=seed, **draw)
    genes = _simulate._draw_programmes(np.random.default_rng(seed), GENES, n_types=6, **draw)
    if not equal:
        rng = np.random.default_rng([seed, 1])
        shares = rng.dirichlet(np.full(6, 1.0), size=batches).clip(0.03)
        codes = [adata.obs[name].cat.codes.to_numpy() for name in ("batch", "cell_type")]
        kept = np.flatnonzero(rng.random(adata.n_obs) < (shares / shares.max(1, keepdims=True))[*codes])
        adata = adata[kept[:cells]].copy()
    return adata, genes.batches


def slopes(found: np.ndarray, true: np.ndarray) -> list[float]:
    """Slope of found on true log differences, of each two batches."""
    pairs = [(i, j) for i in range(len(true)) for j in range(i)]
    return [float(np.polyfit(true[i] - true[j], found[i] - found[j], 1)[0]) for i, j in pairs]


def moved(values: dict[str, np.ndarray], true: np.ndarray, well: np.ndarray) -> dict[str, float]:
    """Least and greatest slope of the shifts of cells that are expressed as each batch."""
    logs = np.stack([np.log(v[:, well] / v.sum(1, keepdims=True) + 1e-12).mean(0) for v in values.values()])
    found = slopes(logs, true[:, well])
    return {"least": min(found), "greatest": max(found)}


def with_scif(adata: ad.AnnData, true: np.ndarray, well: np.ndarray, seed: int) -> dict[str, float]:
    """Slopes, and the error with the key over that without."""
    truth, batch = np.asarray(adata.layers["truth"]), adata.obs["batch"].cat.codes.to_numpy()

    def model(key: str | None) -> scif.model.ICM:
        data = adata.copy()
        scif.model.ICM.setup_anndata(data, batch_key=key)
        trained = scif.model.ICM(data, seed=seed)
        trained.train(enable_progress_bar=False)
        return trained

    def error(value: np.ndarray) -> float:
        return float(np.sqrt(np.mean((np.log(value + 0.01) - np.log(truth + 0.01)) ** 2)))

    def means(value: np.ndarray) -> np.ndarray:
        sums = np.stack([value[batch == code].sum(0) for code in range(len(true))])
        return np.log(sums[:, well] / sums.sum(1, keepdims=True))

    own, without = model("batch"), model(None).get_denoised()
    names = list(adata.obs["batch"].cat.categories)
    shift = moved({name: own.get_denoised(transform_batch=name) for name in names}, true, well)
    kept = slopes(means(own.get_denoised()), means(truth))
    ratio = error(own.get_denoised()) / error(without)
    return shift | {"kept_least": min(kept), "kept_greatest": max(kept), "ratio": ratio}


def with_scvi(adata: ad.AnnData, true: np.ndarray, well: np.ndarray, seed: int) -> dict[str, float]:
    """Slopes of scVI with its defaults."""
    import scvi

    scvi.settings.seed = seed
    data = adata.copy()
    scvi.model.SCVI.setup_anndata(data, batch_key="batch")
    model = scvi.model.SCVI(data, gene_likelihood="nb")
    model.train(enable_progress_bar=False, accelerator="cpu")
    names = list(data.obs["batch"].cat.categories)
    found = {name: model.get_normalized_expression(transform_batch=name, return_numpy=True) for name in names}
    return moved(found, true, well)


def table(results: pd.DataFrame) -> str:
    """One line a case: slopes of both methods, and what the key does to the values of scif."""
    lines = []
    for case, rows in results.groupby(list(KEYS[:5]), sort=True):
        by = rows.set_index("method")

        def between(method: str, least: str, greatest: str, by: pd.DataFrame = by) -> str:
            return f"{by.at[method, least]:.2f} to {by.at[method, greatest]:.2f}" if method in by.index else "not run"

        cells, batches, effect, shares, seed = case
        lines.append(
            {
                "cells": str(cells),
                "batches": str(batches),
                "effect": f"{effect:g}",
                "type shares": str(shares),
                "seed": str(seed),
                "transform_batch, scif": between("scif", "least", "greatest"),
                "transform_batch, scVI": between("scvi", "least", "greatest"),
                "own means, scif": between("scif", "kept_least", "kept_greatest"),
                "error with key / without": f"{by.at['scif', 'ratio']:.3f}" if "scif" in by.index else "not run",
                "date": str(by["date"].max()),
            }
        )
    frame = pd.DataFrame(lines)
    return markdown(frame, digits=[0] * frame.shape[1])


def main() -> None:
    """Measure the cases asked for and write the table of all measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.batches", description=__doc__)
    parser.add_argument("--cells", type=int, default=600)
    parser.add_argument("--batches", type=int, nargs="+", default=[2])
    parser.add_argument("--effects", type=float, nargs="+", default=[0.1, 0.4, 0.8])
    parser.add_argument("--shares", nargs="+", choices=["equal", "unequal"], default=["equal", "unequal"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--methods", nargs="+", choices=["scif", "scvi"], default=["scif", "scvi"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "scvi"):
        logging.getLogger(name).setLevel(logging.ERROR)
    methods = {"scif": with_scif, "scvi": with_scvi}
    for batches in options.batches:
        for effect in options.effects:
            for shares in options.shares:
                for seed in options.seeds:
                    adata, true = simulated(options.cells, batches, effect, equal=shares == "equal", seed=seed)
                    well = np.asarray(adata.X.mean(0)).ravel() > 1.0
                    case = {"cells": options.cells, "batches": batches, "effect": effect, "shares": shares}
                    for method in options.methods:
                        row = case | {"seed": seed, "method": method} | methods[method](adata, true, well, seed)
                        keep(RESULTS, pd.DataFrame([row]), keys=KEYS)
    replace_table(HERE / "batches.md", table(pd.read_csv(RESULTS)))


if __name__ == "__main__":
    main()
