"""Results in a file that runs add to, and tables inside a README, written by the script that measured them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

__all__ = ["keep", "markdown", "replace_table"]


def keep(
    path: Path, rows: pd.DataFrame, order: Iterable[str] | None = None, *, keys: Sequence[str] = ("method", "seed")
) -> None:
    """Add rows to a file, in place of those with the same keys, in the order of the methods if it is given."""
    if path.exists():
        old = pd.read_csv(path, dtype={"method": str})  # which may look like a number
        again = old.set_index(list(keys)).index.isin(rows.set_index(list(keys)).index)
        rows = pd.concat([old[~again], rows])
    if order is not None:
        place = {name: i for i, name in enumerate(order)}
        rows = rows.sort_values(
            ["method", "seed"], key=lambda c: c.map(place) if c.name == "method" else c, kind="stable"
        )
    rows.to_csv(path, index=False, float_format="%.6g")


def markdown(table: pd.DataFrame, *, digits: Sequence[int]) -> str:
    """A table with the given number of digits after the point of each column (ignored for words)."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for _, row in table.iterrows():
        cells = [c if isinstance(c, str) else f"{c:.{d}f}" for c, d in zip(row, digits, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replace_table(readme: Path, table: str, *, name: str = "measured") -> None:
    """Put a table between the markers of a README, ``<!-- begin name -->`` and ``<!-- end name -->``."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = readme.read_text()
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    readme.write_text(f"{before}{begin}\n{table}\n{end}{after}")
