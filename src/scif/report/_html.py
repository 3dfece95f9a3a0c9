"""One page with figures in it."""

from __future__ import annotations

import base64
import io
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scif._extras import require

if TYPE_CHECKING:
    import pandas as pd

    from scif.report._count_report import CountReport

__all__ = ["write"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22242c; max-width: 860px; margin: 2.5em auto; padding: 0 1em; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { font-size: 1.15em; margin: 2em 0 .3em; }
p.note { color: #5b5e6b; margin: .2em 0 .8em; } img { max-width: 100%; display: block; margin: .5em 0; }
table { border-collapse: collapse; font-size: 13px; margin: .5em 0; } td, th { padding: .2em .8em; text-align: right; }
th { border-bottom: 1px solid #9a9dab; font-weight: 600; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
tr:nth-child(even) td { background: #f5f6f9; } .pair { display: flex; gap: 2em; flex-wrap: wrap; }
ul.found { list-style: none; padding: 0; } ul.found li { padding: .35em .7em; margin: .3em 0; border-left: 4px solid; }
ul.found li.ok { border-color: #228833; background: #f1f8f2; }
ul.found li.look { border-color: #cc7711; background: #fdf5ea; }
"""


def write(report: CountReport, path: Path) -> Path:
    """Write the page beside its place, then move it there."""
    require("matplotlib", extra="plot", purpose="CountReport.to_html()")
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(page(report), encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def page(report: CountReport) -> str:
    """The page as text."""
    size = f"{report.n_cells:,} cells, {report.n_genes:,} genes, {report.n_molecules:,} molecules"
    found = "".join(
        f'<li class="{"ok" if f.good else "look"}"><b>{escape(f.topic.capitalize())}.</b> {escape(f.text)}</li>'
        for f in report.findings()
    )
    parts = [
        "<h1>Denoised counts</h1>",
        f'<p class="note">{size}</p>',
        f'<ul class="found">{found}</ul>',
        *_held_out(report),
        *_coverage(report),
        *_smoothing(report),
        *_changed(report),
        *_settings(report),
    ]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>scif: denoised counts</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _section(title: str, note: str, *content: str) -> list[str]:
    return [f"<h2>{escape(title)}</h2>", f'<p class="note">{escape(note)}</p>', *content]


def _held_out(report: CountReport) -> list[str]:
    if report.held_out is None:
        return []
    from scif import pl

    table = report.held_out.to_frame()
    drawn = []
    if (table["splits"] > 0).any():
        drawn = [_image(pl.molecular_cross_validation(report.held_out, return_fig=True), "Loss by method")]
    note = (
        "Some molecules of every cell were held out and predicted from the others. On average, a lower loss means "
        "values closer to the true expression. Points are splits."
    )
    problems = "".join(f"<li>{escape(name)}: {escape(text)}</li>" for name, text in table["problem"].items() if text)
    problems = f"<ul>{problems}</ul>" if problems else ""
    return _section("Did it help?", note, *drawn, _table(table.drop(columns="problem")), problems)


def _coverage(report: CountReport) -> list[str]:
    if report.coverage is None:
        return []
    from scif import pl

    drawn = []
    if report.pit is not None:
        drawn = [_image(pl.calibration(report.pit, report.coverage, return_fig=True), "Calibration")]
    note = "Fraction of values inside their intervals: overall, and by quarter of gene expression and of cell depth."
    return _section(
        "Is the uncertainty right?", note, *drawn, _table(report.coverage.to_frame().T.rename_axis("entries"))
    )


def _smoothing(report: CountReport) -> list[str]:
    from scif import pl

    note = (
        "Denoised genes correlate more than noisy ones, as true expression does. Genes that were shuffled over the "
        "cells must not. Variance within clusters falls because noise is removed, but it must not vanish."
    )
    figure = _image(pl.over_smoothing(report.smoothing, return_fig=True), "Over-smoothing")
    return _section("Was it smoothed too much?", note, figure, _table(report.smoothing.to_frame()))


def _changed(report: CountReport) -> list[str]:
    note = (
        "Surprise is the distance between counts and estimates beyond sampling noise, in standard deviations. Moved is "
        "the fraction of molecules that moved. Check these cells (doublets?) and genes first."
    )
    tables = f'<div class="pair">{_table(report.cells)}{_table(report.genes)}</div>'
    return _section("What changed most?", note, tables)


def _settings(report: CountReport) -> list[str]:
    if not report.settings:
        return []
    rows = "".join(f"<tr><td>{escape(str(k))}</td><td>{escape(str(v))}</td></tr>" for k, v in report.settings.items())
    return ["<h2>Settings</h2>", f"<table>{rows}</table>"]


def _table(frame: pd.DataFrame) -> str:
    shown = frame.rename(columns=str).rename_axis(columns=None).reset_index()
    text = shown.to_html(border=0, na_rep="\u2013", float_format=_number, escape=True, index=False)
    return text.replace(' class="dataframe"', "").replace(' style="text-align: right;"', "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _image(figure: Any, name: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{data}">'
