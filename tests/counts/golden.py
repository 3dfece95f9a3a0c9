"""Golden numbers of the count model: what public calls gave on one machine, and a command that writes them anew.

``python tests/counts/golden.py`` writes ``tests/counts/golden.json``; with ``--compare`` it prints by case whether
every array is bit-equal to what the file holds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import torch

import scif

__all__ = ["CASES", "FILE", "machine", "summary"]

FILE = Path(__file__).with_suffix(".json")
#: Entries of each array that are kept, evenly spaced.
KEPT = 7


def machine() -> str:
    """Processor and libraries on which floating-point results are reproducible to the last bit."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    # processors of one name differ in their instructions, and these in how they round
    processor = f"{processor} {torch.backends.cpu.get_cpu_capability()}"
    return f"{processor}, torch {torch.__version__}, numpy {np.__version__}"


def _simulated(cells: int = 600, genes: int = 300, **options: Any) -> ad.AnnData:
    return scif.datasets.simulate_counts(cells, genes, seed=0, **options)


def _with_factors() -> ad.AnnData:
    adata = _simulated(300, 120)
    adata.obs["factor"] = np.linspace(0.5, 1.5, adata.n_obs)
    return adata


def _values(
    adata: ad.AnnData, setup: dict[str, Any] | None = None, *, train: dict[str, Any] | None = None, **options: Any
) -> dict[str, np.ndarray]:
    scif.model.ICM.setup_anndata(adata, **(setup or {}))
    model = scif.model.ICM(adata, **options)
    model.train(**({"max_epochs": 6, "enable_progress_bar": False} | (train or {})))
    per_gene = ("credibility", "residual_shape", "inverse_dispersion", "depth_slope")
    return {
        "mean": model.get_denoised(),
        "transport": model.get_denoised(estimator="transport"),
        "sample": model.get_denoised(estimator="sample", seed=3),
        "cell_scale": model.get_cell_scale().to_numpy(),
    } | {name: getattr(model, name).to_numpy() for name in per_gene}


def _backed() -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        _simulated(300, 120).write_h5ad(Path(folder) / "x.h5ad")
        return _values(ad.read_h5ad(Path(folder) / "x.h5ad", backed="r"))


def _three_threads() -> dict[str, np.ndarray]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        return _values(_simulated(300, 120))
    finally:
        torch.set_num_threads(before)


CASES: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "pbmc": lambda: _values(scif.datasets.pbmc68k_counts()),
    "simulated": lambda: _values(_simulated()),
    "in_memory": lambda: _values(_simulated(300, 120)),
    "backed": _backed,
    "three_threads": _three_threads,
    "batches": lambda: _values(_simulated(400, 120, n_batches=2), {"batch_key": "batch"}),
    "size_factors": lambda: _values(_with_factors(), {"size_factor_key": "factor"}),
    "negative_binomial": lambda: _values(_simulated(300, 120), noise="nb"),
    "without_anchor": lambda: _values(_simulated(300, 120), train={"anchor_weight": 0.0}),
}


def summary(values: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Sum, some entries and a hash of the bytes of each array."""
    return {
        name: {
            "sum": float(value.astype(np.float64).sum()),
            "entries": value.ravel()[np.linspace(0, value.size - 1, KEPT).astype(int)].astype(float).tolist(),
            "sha256": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
        }
        for name, value in values.items()
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", action="store_true", help="compare with the file instead of writing it")
    parser.add_argument("--only", nargs="*", default=list(CASES), help="names of cases")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {name: summary(CASES[name]()) for name in arguments.only}
    if not arguments.compare:
        FILE.write_text(json.dumps({"machine": machine(), "cases": found}, indent=1) + "\n")
        return
    kept = json.loads(FILE.read_text())["cases"]
    for name, arrays in found.items():
        apart = [key for key, value in arrays.items() if value["sha256"] != kept[name][key]["sha256"]]
        sums = {key: arrays[key]["sum"] / (kept[name][key]["sum"] or 1.0) - 1.0 for key in apart}
        print(name, "bit-equal" if not apart else f"differs: {sums}")  # noqa: T201


if __name__ == "__main__":
    _main()
