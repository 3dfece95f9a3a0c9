"""Where the truth stands by the scores that Open Problems released: ``python -m benchmarks.counts.leaderboard``.

Reads the rows of simulated counts in ``measured/runs.csv``, whose expected counts are known, and ranks every method by
the two scores as released and by the Poisson likelihood of held-out molecules (``scif.metrics``). A score by which
anything ranks before the truth rewards something else than denoising. Writes the ranks into
``integrations/openproblems/README.md`` and the values of one set into ``UPSTREAM.md`` beside it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from benchmarks.counts.methods import METHODS
from benchmarks.report import markdown, replace_table

__all__ = ["main", "ranks", "values"]

_MEASURED = Path(__file__).parent / "measured" / "runs.csv"
_README = Path(__file__).parents[2] / "integrations" / "openproblems" / "README.md"
_UPSTREAM = _README.with_name("UPSTREAM.md")
_SETS = {"simulated-500": 500, "simulated-2000": 2000, "simulated-8000": 8000}
_SCORES = {
    "open_problems_mse": "MSE as released",
    "open_problems_poisson": "Poisson as released",
    "poisson_nll": "Poisson NLL of held-out molecules",
}


def ranks(rows: pd.DataFrame, method: str = "truth") -> pd.DataFrame:
    """Rank of a method among all by each score, one row a set; lower is better by all three."""
    found = []
    for name, depth in _SETS.items():
        own = rows[(rows["dataset"] == name) & (rows["kind"] == "held-out")]
        means = own.groupby("method")[list(_SCORES)].mean()
        place = means.rank(method="min").loc[method].astype(int)
        found.append({"molecules per cell": depth, "methods": len(means)} | {_SCORES[k]: v for k, v in place.items()})
    return pd.DataFrame(found)


def values(rows: pd.DataFrame, name: str = "simulated-2000") -> str:
    """Every method's scores on one set, mean over splits, best by the released error first."""
    own = rows[(rows["dataset"] == name) & (rows["kind"] == "held-out")]
    means = own.groupby("method")[list(_SCORES)].mean().sort_values("open_problems_mse").reset_index()
    means["method"] = [f"**{METHODS[key].label}**" if key == "truth" else METHODS[key].label for key in means["method"]]
    return markdown(means.rename(columns=_SCORES), digits=(0, 3, 3, 4))


def main() -> None:
    """Rank, print, write."""
    rows = pd.read_csv(_MEASURED, keep_default_na=False, na_values=[""])
    table = ranks(rows)
    average = table[list(_SCORES.values())].mean().round(1)
    mean = pd.DataFrame([{"molecules per cell": "mean rank of the truth", "methods": ""} | average.to_dict()])
    text = markdown(pd.concat([table.astype(str), mean.astype(str)]), digits=[0] * table.shape[1])
    print(text)
    if _README.exists():
        replace_table(_README, text, name="truth")
    if _UPSTREAM.exists():
        replace_table(_UPSTREAM, values(rows), name="ranking")


if __name__ == "__main__":
    main()
