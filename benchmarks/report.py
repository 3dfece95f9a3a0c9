"""Tables inside a README, between markers, written by the script that measured them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

__all__ = ["markdown", "replace_table"]

_BEGIN, _END = "<!-- begin measured -->", "<!-- end measured -->"


def markdown(table: pd.DataFrame, *, digits: Sequence[int]) -> str:
    """A table with the given number of digits after the point of each column (ignored for words)."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    for _, row in table.iterrows():
        cells = [c if isinstance(c, str) else f"{c:.{d}f}" for c, d in zip(row, digits, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replace_table(readme: Path, table: str) -> None:
    """Put a table between the markers of a README."""
    text = readme.read_text()
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    readme.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}")
