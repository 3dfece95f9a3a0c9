"""The component for Open Problems runs on data in the task's format, and the README says where the truth stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad

from scif.datasets import simulate_counts

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "integrations" / "openproblems"


@pytest.mark.trains
def test_the_component_keeps_cells_genes_and_depth(tmp_path):
    counts = simulate_counts(80, 40, depth=300, truth=False, seed=0)
    train = AnnData(
        layers={"counts": counts.X}, obs=counts.obs[[]], var=counts.var[[]], uns={"dataset_id": "simulated"}
    )
    train.write_h5ad(tmp_path / "train.h5ad")
    before, rest = (FOLDER / "script.py").read_text().split("## VIASH START")
    par = {
        "input_train": str(tmp_path / "train.h5ad"),
        "output": str(tmp_path / "out.h5ad"),
        "estimator": "mean",
        "noise": "poisson",
        "max_epochs": 2,
    }
    # viash replaces what stands between the marks
    script = f"{before}par = {par!r}\nmeta = {{'name': 'scif'}}\n{rest.split('## VIASH END')[1]}"
    path = [str(ROOT / "src")]
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"], check=True)
    found = read_h5ad(tmp_path / "out.h5ad")
    assert (found.uns["dataset_id"], found.uns["method_id"]) == ("simulated", "scif")
    assert list(found.obs_names) == list(train.obs_names)
    assert list(found.var_names) == list(train.var_names)
    depth = np.asarray(train.layers["counts"].sum(axis=1)).ravel()
    np.testing.assert_allclose(found.layers["denoised"].sum(axis=1), depth, rtol=1e-4)


def test_the_readme_states_the_rank_of_the_truth_that_the_rows_give(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.counts.leaderboard import ranks

    rows = pd.read_csv(ROOT / "benchmarks/counts/measured/runs.csv", keep_default_na=False, na_values=[""])
    table = ranks(rows)
    assert set(table["methods"]) == {21}
    assert set(table["Poisson NLL of held-out molecules"]) == {1}
    text = (FOLDER / "README.md").read_text()
    for _, row in table.iterrows():
        assert "| " + " | ".join(str(value) for value in row) + " |" in text
