"""Where the truth stands by the scores that Open Problems released: ``python -m benchmarks.counts.leaderboard``.

Reads the rows of simulated counts in ``measured/runs.csv``, whose expected counts are known, and ranks every method by
the two scores as released and by the Poisson likelihood of held-out molecules (``scif.metrics``). A score by which
anything ranks before the truth rewards something else than denoising. Writes the table into
``integrations/openproblems/README.md``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from benchmarks.report import markdown, replace_table

__all__ = ["main", "ranks"]

_MEASURED = Path(__file__).parent / "measured" / "runs.csv"
_README = Path(__file__).parents[2] / "integrations" / "openproblems" / "README.md"
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
        found.append({"molecules a cell": depth, "methods": len(means)} | {_SCORES[k]: v for k, v in place.items()})
    return pd.DataFrame(found)


def main() -> None:
    """Rank, print, write."""
    rows = pd.read_csv(_MEASURED, keep_default_na=False, na_values=[""])
    table = ranks(rows)
    average = table[list(_SCORES.values())].mean().round(1)
    mean = pd.DataFrame([{"molecules a cell": "mean rank of the truth", "methods": ""} | average.to_dict()])
    text = markdown(pd.concat([table.astype(str), mean.astype(str)]), digits=[0] * table.shape[1])
    print(text)
    if _README.exists():
        replace_table(_README, text, name="truth")


if __name__ == "__main__":
    main()
