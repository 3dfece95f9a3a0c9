"""Tables of all results (CSV and Markdown) and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.images.cases import CASES, load
from benchmarks.images.methods import METHODS
from benchmarks.images.run import _SHOWN
from matplotlib.figure import Figure

__all__ = ["draw", "write_tables"]

TITLES = {
    "gaussian": "Gaussian, sigma 25",
    "correlated": "correlated, sigma 25",
    "poisson": "Poisson, 0.01",
    "jacobi": "Jacobi",
    "w2s": "W2S micrographs",
}


def write_tables(results: list[dict[str, Any]], out: Path) -> str:
    """Write ``runs.csv`` and ``summary.md``; returns the latter."""
    rows = [{k: v for k, v in r.items() if k != "scores"} | r["scores"] for r in results]
    table = pd.DataFrame(rows)
    table.to_csv(out / "runs.csv", index=False)
    means = table.groupby(["method", "case"])[["psnr", "ssim", "seconds"]].mean()
    cases = [case for case in CASES if case in set(table["case"])]
    lines = ["| method | " + " | ".join(TITLES[case] for case in cases) + " |", "|---" * (len(cases) + 1) + "|"]
    for method in METHODS:
        if method not in set(table["method"]):
            continue
        cells = [_cell(means, method, case) for case in cases]
        lines.append(f"| {METHODS[method].label} | " + " | ".join(cells) + " |")
    text = "\n".join(lines)
    (out / "summary.md").write_text(text + "\n")
    return text


def _cell(means: pd.DataFrame, method: str, case: str) -> str:
    if (method, case) not in means.index:
        return ""
    row = means.loc[(method, case)]
    return f"{row['psnr']:.2f} / {row['ssim']:.3f} ({row['seconds']:.0f} s)"


def draw(results: list[dict[str, Any]], out: Path, *, directory: Path, crops: int | None) -> Figure:
    """One row a case, one column a method: the middle of one test image."""
    cases = [case for case in CASES if any(r["case"] == case for r in results)]
    methods = [method for method in METHODS if any(r["method"] == method for r in results)]
    figure = Figure(figsize=(1.7 * (len(methods) + 1), 1.85 * len(cases)), layout="constrained")
    axes = figure.subplots(len(cases), len(methods) + 1, squeeze=False)
    scores = {(r["case"], r["method"]): r["scores"]["psnr"] for r in results}
    for row, case in zip(axes, cases, strict=True):
        truth = _middle(load(case, directory, crops=crops).test_clean[_SHOWN[case]])
        for ax, method in zip(row, methods, strict=False):
            path = out / "results" / f"{case}-{method}-0.npy"
            if path.exists():
                image = _middle(np.load(path))
                slope, height = np.polyfit(image.ravel(), truth.ravel(), 1) if case == "w2s" else (1.0, 0.0)
                _show(ax, slope * image + height, truth)
                ax.set_title(f"{METHODS[method].label}\n{scores[case, method]:.2f} dB", fontsize=6)
            else:
                ax.axis("off")
        _show(row[-1], truth, truth)
        row[-1].set_title("truth", fontsize=6)
        row[0].set_ylabel(TITLES[case], fontsize=7)
    return figure


def _middle(image: np.ndarray, side: int = 128) -> np.ndarray:
    top, left = ((n - side) // 2 for n in image.shape)
    return image[top : top + side, left : left + side]


def _show(ax: Any, image: np.ndarray, truth: np.ndarray) -> None:
    low, high = np.quantile(truth, [0.002, 0.998])
    ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
