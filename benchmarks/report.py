"""Results in a file that runs add to, and tables inside a README, written by the script that measured them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd

import scif

__all__ = ["keep", "markdown", "provenance", "replace_table", "with_provenance"]


def keep(
    path: Path, rows: pd.DataFrame, order: Iterable[str] | None = None, *, keys: Sequence[str] = ("method", "seed")
) -> None:
    """Add rows to a file, in place of those with the same keys, in the order of the methods if it is given.

    The rows carry their provenance from now on; that of rows which were measured before it was kept stays empty.
    """
    rows = with_provenance(rows)
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


@cache
def _commit() -> str:
    """Short name of the commit that is checked out, with ``+`` if the sources of the package differ from it."""
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return ""
        return done.stdout.strip()

    commit = git("rev-parse", "--short=10", "HEAD")
    return commit + ("+" if commit and git("status", "--porcelain", "src") else "")


@cache
def _machine() -> str:
    """Number of usable cores and name of the processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{cores} cores of {names[0] if names else platform.machine()}"


PROVENANCE = ("commit", "version", "machine", "date")
"""Columns of :func:`provenance`; empty in rows measured before they were kept."""


def with_provenance(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns of :func:`provenance`, where they have none yet."""
    return rows.assign(**{name: value for name, value in provenance().items() if name not in rows})


def provenance() -> dict[str, str]:
    """Columns that every measured row carries: commit, version of the package, machine and date."""
    return {
        "commit": _commit(),
        "version": scif.__version__,
        "machine": _machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
