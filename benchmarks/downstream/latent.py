"""``python -m benchmarks.downstream.latent --data DIR``: clusters of the latent factors, by resolution and by metric.

At resolution 1 clusters of the latent factors agree less with labels than those of log-normalised counts. Two designs
of the factors and the resolution are compared here; the table is written into ``README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from benchmarks.downstream.cases import make_case
from benchmarks.report import markdown, provenance, replace_table

from scif.metrics import label_agreement
from scif.model import ICM

_CASES = ("celseq2-tenth", "pbmc68k", "simulated", "scdesign", "bladder", "paul15")
_RESOLUTIONS = (0.1, 0.2, 0.3, 0.5, 1.0, 1.5)
_FEW = 5  # factors of the design with fewer


def coordinates(model: ICM) -> dict[str, np.ndarray]:
    """Coordinates of cells that are compared, cells x factors each."""
    factors, loadings = np.asarray(model.get_latent_representation()), model.get_loadings().to_numpy()
    left, sizes, _ = np.linalg.svd(factors @ np.linalg.qr(loadings)[1].T, full_matrices=False)
    as_expression = left * sizes  # distances are those of log expression
    return {
        "latent factors": factors,
        "latent factors, distances of log expression": as_expression,
        f"the same, first {_FEW}": as_expression[:, :_FEW],
    }


def rows(name: str, data: Path | None, *, seed: int) -> list[dict[str, object]]:
    """ARI of every kind of coordinates at every resolution on one case."""
    case = make_case(name, data=data, seed=seed)
    adata = ad.AnnData(case.counts.astype(np.float32))
    ICM.setup_anndata(adata)
    model = ICM(adata, seed=seed)
    model.train(enable_progress_bar=False)
    compared: dict[str, tuple[np.ndarray, bool]] = {
        "counts": (case.counts.toarray().astype(np.float32), False),
        "ICM mean": (np.asarray(model.get_denoised()), False),
        **{label: (values, True) for label, values in coordinates(model).items()},
    }
    result: list[dict[str, object]] = []
    for label, (values, embedding) in compared.items():
        found = label_agreement(values, case.labels, embedding=embedding, resolutions=_RESOLUTIONS, seed=seed)
        result += [
            {"case": name, "coordinates": label, "resolution": resolution, "ari": ari}
            for resolution, ari in zip(_RESOLUTIONS, found.ari, strict=True)
        ]
        result.append({"case": name, "coordinates": label, "resolution": "silhouette", "ari": found.silhouette})
    return result


def main() -> None:
    """Run all cases; write the mean over them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.downstream.latent", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(_CASES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = pd.DataFrame([row for name in options.cases for row in rows(name, options.data, seed=options.seed)])
    print(found.pivot_table(index=["case", "coordinates"], columns="resolution", values="ari", sort=False).round(2))
    table = found.pivot_table(index="coordinates", columns="resolution", values="ari", sort=False).reset_index()
    table.columns = ["coordinates", *(f"resolution {r}" for r in _RESOLUTIONS), "silhouette"]
    seen = provenance()
    note = f"{', '.join(options.cases)}; seed {options.seed}; commit {seen['commit']}, {seen['date']}."
    text = markdown(table, digits=(0, *[2] * (len(_RESOLUTIONS) + 1)))
    replace_table(Path(__file__).parent / "README.md", f"{text}\n\n{note}", name="latent")


if __name__ == "__main__":
    main()
