"""A report on a trained model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import scif
from scif.cli import main
from scif.model import ICM


@pytest.fixture(scope="module")
def adata():
    return scif.datasets.simulate_counts(200, 100, n_types=3, n_batches=2, depth=500, seed=0)


@pytest.fixture(scope="module")
def model(adata):
    ICM.setup_anndata(adata, batch_key="batch")
    model = ICM(adata)
    model.train(max_epochs=10, enable_progress_bar=False)
    return model


@pytest.mark.trains
def test_every_part_of_a_report_is_there(adata, model, tmp_path):
    before = adata.X.copy()
    found = model.report(clusters="cell_type", max_cells=150, n_draws=10)
    assert (found.n_cells, found.n_genes) == (150, 100)
    losses = found.held_out.to_frame()["poisson_nll"]
    assert set(losses.index) == {"scif ICM", "no denoising", "pooled profile", "tuned SVD"}
    assert losses["scif ICM"] < losses["pooled profile"]
    assert found.coverage.overall.shape == (4,)
    assert np.all(np.abs(found.coverage.overall - found.coverage.levels) < 0.1)
    assert found.smoothing.correlation_null.mean() < found.smoothing.correlation_denoised.mean()
    assert found.smoothing.variance_within is not None
    assert found.collapse.lower() == model.collapse_["message"].lower()
    assert found.collapse[0].isupper()
    assert set(found.cells.index) <= set(adata.obs_names)
    assert found.settings["model_id"]
    assert {f.topic for f in found.findings()} >= {"held-out molecules", "coverage", "correlation", "collapse"}
    page = found.to_html(tmp_path / "page.html").read_text()
    assert page.count("<img") >= 3
    assert "http://" not in page and "https://" not in page
    assert (adata.X != before).nnz == 0


def test_bad_requests_are_named(model):
    with pytest.raises(ValueError, match="clusters='absent'"):
        model.report(clusters="absent")
    with pytest.raises(ValueError, match=r"one label for each of the 200 cells"):
        model.report(clusters=[1, 2])
    with pytest.raises(ValueError, match="n_splits=0"):
        model.report(n_splits=0)


@pytest.mark.trains
def test_the_command_writes_a_page_and_its_findings(adata, tmp_path, capsys):
    data = adata[:60, :40].copy()
    data.write_h5ad(tmp_path / "in.h5ad")
    words = ["report", str(tmp_path / "in.h5ad"), str(tmp_path / "out.html"), "--max-epochs", "1", "--no-shuffled"]
    assert main([*words, "--clusters", "cell_type", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {f["topic"] for f in said["findings"]} >= {"held-out molecules", "noise"}
    assert (tmp_path / "out.html").stat().st_size > 10_000
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*words[:2], str(tmp_path / "x.html"), "--clusters", "absent"]) == 2
    assert "--clusters absent" in capsys.readouterr().err
