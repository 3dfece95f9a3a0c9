"""Tables of all results: one row per run (CSV), and mean and spread over seeds (CSV and Markdown)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.counts.methods import METHODS
from benchmarks.report import PROVENANCE

__all__ = ["overview", "runs", "summary", "write_tables"]

_NULL = ["null_correlation", "null_excess", "null_variance"]
#: Kind of task and scores of each table, by its title.
_SECTIONS = {
    "Held-out molecules (lower NLL is better; gain 0 is the pooled profile, 1 the best peer)": (
        "held-out",
        ["gain", "poisson_nll", "seconds", "cpu_seconds", "peak_mb"],
    ),
    "Cost, as ratios (mean over seeds over mean over seeds)": (
        "held-out",
        [
            "fit_seconds",
            "denoise_seconds",
            "fit_peak_mb",
            "denoise_peak_mb",
            "seconds_to_scvi",
            "seconds_to_magic",
            "peak_to_scvi",
            "peak_to_magic",
            "cpu_to_scvi",
            "cpu_to_magic",
        ],
    ),
    "Simulated truth (variances: 1 is ideal)": (
        "held-out",
        [
            "composition_error",
            "gene_correlation_error",
            "variance_between",
            "variance_within",
            "pc_variance_min",
            "pc_variance_max",
            "pc_within_tenth",
        ],
    ),
    "Variance of genes over that of the signal, by held-out molecules (1 is ideal)": ("held-out", ["gene_variance"]),
    "Labels": ("held-out", ["ari", "nmi", "silhouette"]),
    "Depth recovery from 5% of the molecules": (
        "depth",
        ["depth_cell_correlation", "depth_gene_correlation", "depth_relative_error"],
    ),
    "Permuted-gene null (excess over the observed data; not above 0.02)": ("null", _NULL),
    "The same, counts shuffled as they are, whatever the library size": ("null-count", _NULL),
    "As released by Open Problems (rewards over-sharpening, arguments exchanged: not for choosing)": (
        "held-out",
        ["open_problems_mse", "open_problems_poisson"],
    ),
}
#: Single components are in the JSON files alone.
_COMPONENT = re.compile(r"pc\d+_variance")
_REFERENCES = {"scvi": "scvi", "magic": "magic-log"}


def runs(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row per run, with gain and totals worked out."""
    rows = []
    for result in results:
        fit, denoise, scores = result["fit"], result["denoise"], result["scores"]
        rows.append(
            {key: result[key] for key in ("dataset", "kind", "seed", "method")}
            | {"cells": result["shape"][0], "genes": result["shape"][1]}
            | {name: value for name, value in scores.items() if not _COMPONENT.fullmatch(name)}
            | {f"{step}_{key}": usage[key] for step, usage in (("fit", fit), ("denoise", denoise)) for key in usage}
            | {key: fit[key] + denoise[key] for key in ("seconds", "cpu_seconds")}
            | {"peak_mb": max(fit["peak_mb"], denoise["peak_mb"]), "load_average": result["load_average"]}
            | {name: result.get(name, "") for name in PROVENANCE}
        )
    table = pd.DataFrame(rows)
    table["gain"] = float("nan")
    for _, task in table.groupby(["dataset", "kind", "seed"]):
        table.loc[task.index, "gain"] = _gain(task)
    return table


def _gain(task: pd.DataFrame) -> pd.Series:
    """Drop below the pooled profile over that of the best peer, both on one split; no number if no peer is below."""
    none = pd.Series(float("nan"), task.index)
    if "poisson_nll" not in task:
        return none
    nll = task.set_index("method")["poisson_nll"]
    peers = [method for method in nll.index if METHODS[method].kind == "peer"]
    if "pooled" not in nll or not peers:
        return none
    best = nll["pooled"] - nll[peers].min()
    return (nll["pooled"] - task["poisson_nll"]) / best if best > 0 else none


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, and costs as ratios to scVI's and MAGIC's on the same data."""
    grouped = table.drop(columns=["seed", *PROVENANCE]).groupby(["dataset", "kind", "method"])
    means, spread, number = grouped.mean(), grouped.std(), grouped.size()
    for reference, method in _REFERENCES.items():
        for name, column in (("seconds", "seconds"), ("peak", "peak_mb"), ("cpu", "cpu_seconds")):
            base = means[column].unstack("method")
            ratio = base.div(base[method], axis=0) if method in base else base * float("nan")
            means[f"{name}_to_{reference}"] = ratio.stack().reindex(means.index)
    return pd.concat([means, spread.add_suffix("_sd"), number.rename("seeds")], axis=1)


def write_tables(results: Sequence[dict[str, Any]], out: Path) -> None:
    """Write ``runs.csv``, ``summary.csv`` and ``summary.md``."""
    table = runs(results)
    table.to_csv(out / "runs.csv", index=False)
    means = summary(table)
    means.to_csv(out / "summary.csv")
    (out / "summary.md").write_text("\n".join(_markdown(means)) + "\n")


def overview(
    results: Sequence[dict[str, Any]], *, scores: Sequence[str] = ("gain",), kind: str = "held-out", digits: int = 2
) -> str:
    """Scores by method and data set, mean ± deviation over seeds, as a Markdown table."""
    table = runs(results)
    rows = table[table["kind"] == kind].dropna(subset=list(scores), how="all")
    found = rows.groupby(["method", "dataset"])[list(scores)]
    means, spread = found.mean().unstack(), found.std().unstack()
    names = [" ".join(name) if len(scores) > 1 else name[1] for name in means.columns]
    lines = ["| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method in (method for method in METHODS if method in means.index):
        cells = ["" if pd.isna(mean) else f"{mean:.{digits}f}" for mean in means.loc[method]]
        spreads = ["" if pd.isna(sd) else f" ± {sd:.{digits}f}" for sd in spread.loc[method]]
        lines.append(
            f"| {METHODS[method].label} | " + " | ".join(map("".join, zip(cells, spreads, strict=True))) + " |"
        )
    return "\n".join(lines)


def _markdown(means: pd.DataFrame) -> list[str]:
    lines = ["# Count denoisers", ""]
    for title, (kind, columns) in _SECTIONS.items():
        present = [column for column in columns if column in means and means[column].notna().any()]
        part = means.dropna(subset=present, how="all") if present else means.iloc[:0]
        part = part[part.index.get_level_values("kind") == kind]
        if part.empty:
            continue
        lines += [f"## {title}", "", f"| data | method | {' | '.join(present)} |", "|---" * (len(present) + 2) + "|"]
        order = {method: i for i, method in enumerate(METHODS)}
        for (dataset, _, method), row in sorted(part.iterrows(), key=lambda item: (item[0][0], order[item[0][2]])):
            cells = [_cell(row[column], row.get(f"{column}_sd")) for column in present]
            lines.append(f"| {dataset} | {METHODS[method].label} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def _cell(mean: float, spread: float | None) -> str:
    if pd.isna(mean):
        return ""
    digits = 1 if abs(mean) >= 100 else 2 if abs(mean) >= 10 else 3 if abs(mean) >= 1 else 5
    text = f"{mean:.{digits}f}"
    return text if spread is None or pd.isna(spread) else f"{text} ± {spread:.{digits}f}"
