"""Tables and a figure of the rows, and which output to take for which task, written between markers of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.report import markdown, replace_table

__all__ = ["METHODS", "SCORES", "write"]

_PAGE = Path(__file__).parent / "README.md"
METHODS = (
    "counts",
    "MAGIC",
    "tuned SVD",
    "DCA-style",
    "scVI",
    "scVI, early stopping",
    "scVI, latent",
    "scVI, early stopping, latent",
    "ICM mean",
    "ICM transport",
    "ICM draw",
    "ICM latent",
)
#: Task, score and what is best: the largest, the smallest, a value, or the value that a named score has.
SCORES: tuple[tuple[str, str, str | float], ...] = (
    ("depth recovery", "per cell", "largest"),
    ("depth recovery", "per gene", "largest"),
    ("depth recovery", "within type", "largest"),
    ("depth recovery", "relative error", "smallest"),
    ("differential expression", "recall", "largest"),
    ("differential expression", "shuffled genes called", 0.05),
    ("differential expression", "slope of fold changes", 1.0),
    ("permuted labels", "called under permuted labels", 0.05),
    ("permuted labels", "worst permutation", 0.05),
    ("co-expression", "true pairs", "true pairs, truth"),
    ("co-expression", "shuffled pairs", "smallest"),
    ("labels", "best ARI", "largest"),
    ("labels", "ARI at resolution 1", "largest"),
    ("labels", "silhouette", "largest"),
    ("mixtures", "R2 of proportions", "largest"),
    ("rare cells", "markers kept", 1.0),
    ("rare cells", "neighbours of rare cells", "largest"),
    ("pseudotime", "correlation with time", "largest"),
    ("pseudotime", "within branches", "largest"),
    ("coverage", "90% intervals hold", 0.9),
    ("coverage", "in the shallowest quarter", 0.9),
)


def write(rows: pd.DataFrame) -> None:
    """Put both tables into the page, and draw the figure."""
    replace_table(_PAGE, _every(rows), name="downstream")
    for page in (_PAGE, _PAGE.parents[1] / "README.md"):
        replace_table(page, decisions(rows), name="decisions")
    _draw(rows)


def _every(rows: pd.DataFrame) -> str:
    """One line a task, score and case; the best output in bold, equal ones too."""
    lines = []
    for task, score, best in SCORES:
        part = rows[(rows["task"] == task) & (rows["score"] == score)]
        for case in part["case"].unique():
            means = part[part["case"] == case].groupby("method")["value"].mean()
            spread = part[part["case"] == case].groupby("method")["value"].std()
            loss = _loss(means, best, rows[rows["case"] == case])
            winners = set(loss.index[loss <= loss.min() + 5e-4])
            line = {"task": task, "score (best)": f"{score} ({_goal(best)})", "case": case}
            line["seeds"] = str(part.loc[part["case"] == case, "seed"].nunique())
            for method in (method for method in METHODS if method in rows["method"].unique()):
                line[method] = "" if method not in means else _cell(means[method], spread[method], method in winners)
            lines.append(line)
    return markdown(pd.DataFrame(lines), digits=(0,) * len(lines[0]))


def decisions(rows: pd.DataFrame) -> str:
    """For each score the output of ICM of least loss over the cases, the counts, and the best of all methods."""
    lines = []
    for task, score, best in SCORES:
        part = rows[(rows["task"] == task) & (rows["score"] == score)]
        if part.empty:
            continue
        part = part[_shared_seeds(part)]
        means = part.groupby(["case", "method"])["value"].mean()
        losses = {case: _loss(means[case], best, rows[rows["case"] == case]) for case in part["case"].unique()}
        table = pd.DataFrame(losses)
        ran = table.notna().groupby(_family).any().all()
        table = table.loc[:, ran] if ran.any() else table  # a case that ICM, counts or all peers lack compares nothing
        part = part[part["case"].isin(table.columns)]
        complete = table.dropna().index
        mean_loss, values = table.loc[complete].mean(axis=1), part.groupby("method")["value"].mean()
        ours = mean_loss[[name for name in complete if name.startswith("ICM")]]
        peers = mean_loss.drop([*ours.index, "counts"], errors="ignore")
        line = {"task": task, "score (best)": f"{score} ({_goal(best)})", "cases": str(table.shape[1])}
        line["take"] = f"{ours.idxmin()}: {values[ours.idxmin()]:.2f}" if len(ours) else ""
        line["counts"] = f"{values['counts']:.2f}" if "counts" in values else ""
        line["best peer"] = f"{peers.idxmin()}: {values[peers.idxmin()]:.2f}" if len(peers) else ""
        first = mean_loss.index[mean_loss <= mean_loss.min() + 5e-4]
        line["best of all"] = ", ".join(sorted({"ICM" if name.startswith("ICM") else name for name in first}))
        lines.append(line)
    return markdown(pd.DataFrame(lines), digits=(0,) * len(lines[0]))


def _shared_seeds(part: pd.DataFrame) -> pd.Series:
    """Whether all methods of the case ran with this seed: cases differ more between seeds than methods do."""
    ran = part.groupby(["case", "seed"])["method"].transform("nunique")
    return ran == part.groupby("case")["method"].transform("nunique")


def _family(method: str) -> str:
    return "ICM" if method.startswith("ICM") else method if method == "counts" else "peer"


def _loss(means: pd.Series, best: str | float, case: pd.DataFrame) -> pd.Series:
    """Distance from the ideal, smaller is better."""
    if best == "largest":
        return -means
    if best == "smallest":
        return means
    if isinstance(best, str):
        best = float(case.loc[case["score"] == best, "value"].mean())
        return (means - best).abs()
    return (means - best).abs() if best not in (0.05,) else (means - best).clip(lower=0.0)


def _goal(best: str | float) -> str:
    if isinstance(best, float):
        return f"at most {best:g}" if best == 0.05 else f"{best:g}"
    return {"largest": "high", "smallest": "low"}.get(best, "that of the truth")


def _cell(mean: float, spread: float, winner: bool) -> str:
    text = f"{mean:.2f}" if np.isnan(spread) else f"{mean:.2f} ± {spread:.2f}"
    return f"**{text}**" if winner else text


def _draw(rows: pd.DataFrame) -> None:
    """One panel a score, a point an output, averaged over cases; the dashed line is the ideal where it is a number."""
    import matplotlib.pyplot as plt

    chosen = [entry for entry in SCORES if entry[1] in set(rows["score"])]
    methods = [method for method in METHODS if method in set(rows["method"])]
    columns = 5
    height = -(-len(chosen) // columns)
    figure, axes = plt.subplots(height, columns, figsize=(15, 2.3 * height), sharey=True, squeeze=False)
    colours = ["tab:red" if m.startswith("ICM") else "black" if m == "counts" else "tab:blue" for m in methods]
    for axis, (task, score, best) in zip(axes.ravel(), chosen, strict=False):
        part = rows[(rows["task"] == task) & (rows["score"] == score)]
        by_case = part[_shared_seeds(part)].groupby(["method", "case"])["value"].mean()
        for place, (method, colour) in enumerate(zip(methods, colours, strict=True)):
            values = by_case.get(method, pd.Series(dtype=float))
            axis.scatter(values, np.full(len(values), place), s=14, color=colour, alpha=0.5, linewidths=0)
            axis.scatter([values.mean()], [place], s=40, color=colour, marker="|")
        if isinstance(best, float):
            axis.axvline(best, color="grey", linestyle="--", linewidth=0.8)
        axis.set_title(f"{task}:\n{score} ({_goal(best)})", fontsize=8)
        axis.set_yticks(range(len(methods)), methods, fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].invert_yaxis()
    for axis in axes.ravel()[len(chosen) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(_PAGE.with_name("downstream.png"), dpi=90)
    plt.close(figure)
