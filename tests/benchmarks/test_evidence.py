"""Laws of the benchmark: tuning finds the truth, and tables say what the rows say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scif.datasets import simulate_counts
from scif.metrics import split_counts

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def _choose(candidates: list[dict[str, Any]], expected: dict[str, np.ndarray], counts: Any) -> Any:
    from benchmarks.counts.methods.tuned import choose

    return choose(split_counts(counts, 0.9, seed=0), lambda x, name: expected[name], candidates)


def test_truth_is_chosen_and_hardly_mixed_with_the_pooled_profile() -> None:
    adata = simulate_counts(200, 100, seed=0)
    truth = np.asarray(adata.layers["truth"])
    expected = {"truth": truth, "flat": np.ones_like(truth), "sharp": truth**2}
    chosen = _choose([{"name": name} for name in expected], expected, adata.X)
    assert chosen.options == {"name": "truth"}
    assert chosen.mix <= 0.01


def test_estimate_that_is_off_where_molecules_are_is_mixed_with_the_pooled_profile() -> None:
    from benchmarks.counts.methods.tuned import choose

    adata = simulate_counts(200, 100, depth=200, seed=0)
    assert choose(split_counts(adata.X, 0.9, seed=0), lambda x: x.toarray(), [{}]).mix >= 0.1


def test_candidates_are_compared_at_the_library_size() -> None:
    adata = simulate_counts(100, 60, seed=0)
    truth = np.asarray(adata.layers["truth"])
    once, again = (_choose([{"name": "a"}], {"a": factor * truth}, adata.X) for factor in (1.0, 100.0))
    assert once.mix == again.mix
    np.testing.assert_allclose(once.expected, again.expected, rtol=1e-5)


def test_decision_is_the_output_nearest_to_the_ideal() -> None:
    from benchmarks.downstream.report import decisions

    slopes = {"counts": 1.4, "MAGIC": 0.4, "ICM mean": 0.75, "ICM transport": 1.1}
    rows = pd.DataFrame(
        {"case": "a", "seed": 0, "method": name, "task": "differential expression", "score": "slope of fold changes"}
        | {"value": value}
        for name, value in slopes.items()
    )
    line = decisions(rows).splitlines()[-1]
    assert "ICM transport: 1.10" in line
    assert "MAGIC: 0.40" in line
    assert line.endswith("| ICM |")


def test_consistency_is_told_relative_to_the_anchor_alone() -> None:
    from benchmarks.counts.consistency import table

    drops = {"none": 0.1, "gradient": 0.1001, "em": 0.102, "both": 0.1}
    rows = pd.DataFrame(
        {"dataset": "pbmc68k", "seed": 0, "mode": mode, "cells": 9, "genes": 9, "drop": drop}
        | dict.fromkeys(("mean_variance", "transport_variance", "transport_drop", "cpu_seconds"), 1.0)
        for mode, drop in drops.items()
    )
    cells = [cell.strip() for cell in table(rows).splitlines()[-1].split("|")[4:8]]
    assert cells == ["+0.10%", "+2.00%", "+0.00%", "-1.96%"]


def test_figure_of_the_readme_has_what_its_caption_says() -> None:
    from benchmarks.counts.every_set import read_measured
    from benchmarks.counts.headline import SETS, caption, draw, gains

    rows = read_measured()
    table = gains(rows)
    assert caption(rows) in (ROOT / "README.md").read_text()
    (axis,) = draw(rows).axes
    drawn = {line.get_label(): line.get_xdata() for line in axis.lines}
    np.testing.assert_allclose(drawn["scif"], table["icm"])
    assert [label.get_text().split("\n")[0] for label in axis.get_yticklabels()] == list(SETS.values())


def test_rows_of_the_present_model_take_the_place_of_earlier_ones() -> None:
    from benchmarks.counts.tuned import _replaced

    keys = {"dataset": "a", "kind": "held-out", "seed": 0}
    old = pd.DataFrame([keys | {"method": "icm", "poisson_nll": 2.0}, keys | {"method": "pooled", "poisson_nll": 3.0}])
    found = _replaced(old, pd.DataFrame([keys | {"method": "icm", "poisson_nll": 1.0}]))
    assert dict(zip(found["method"], found["poisson_nll"], strict=True)) == {"icm": 1.0, "pooled": 3.0}


def test_figures_have_a_colour_for_every_kind_of_method() -> None:
    from benchmarks.counts.figures import _KIND_COLOURS
    from benchmarks.counts.methods import METHODS

    assert {method.kind for method in METHODS.values()} <= set(_KIND_COLOURS)


def test_seeds_that_a_method_lacks_are_not_compared() -> None:
    from benchmarks.downstream.report import decisions

    rows = [("easy", 0, "counts", 0.5), ("easy", 0, "ICM mean", 0.8), ("easy", 0, "MAGIC", 0.7)]
    rows += [("easy", 1, "counts", 0.1), ("easy", 1, "ICM mean", 0.3)]  # a harder draw that MAGIC was spared
    frame = pd.DataFrame(rows, columns=["case", "seed", "method", "value"])
    table = decisions(frame.assign(task="pseudotime", score="within branches"))
    assert "ICM mean: 0.80 | 0.50 | MAGIC: 0.70 | ICM |" in table


def test_points_of_the_readme_are_those_of_the_rows() -> None:
    from benchmarks.counts.every_set import describe, every_set, read_measured

    assert describe(every_set(read_measured())) in (ROOT / "README.md").read_text()
