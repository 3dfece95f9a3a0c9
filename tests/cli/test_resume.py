"""``scif denoise --resume`` and ``--threshold``."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import read_h5ad
from scipy import sparse

from scif.cli import main
from scif.model.stream import mixin, parts


@pytest.fixture
def counts(simulated, tmp_path):
    path = tmp_path / "counts.h5ad"
    simulated[:60, :40].copy().write_h5ad(path)
    return path


@pytest.mark.trains
def test_a_run_that_was_stopped_goes_on(counts, tmp_path, monkeypatch, capsys):
    out, whole = tmp_path / "out.h5ad", tmp_path / "whole.h5ad"
    options = ["--max-epochs", "2", "--batch-key", "batch"]
    assert main(["denoise", str(counts), str(whole), *options]) == 0
    monkeypatch.setattr(mixin, "ENTRIES", 120)
    monkeypatch.setattr(mixin, "BATCHES", 2)
    add = parts.Parts.add
    with monkeypatch.context() as patch:

        def failing(self, start, values):
            if start >= 30:
                raise OSError("disk full")
            add(self, start, values)

        patch.setattr(parts.Parts, "add", failing)
        assert main(["denoise", str(counts), str(out), *options, "--resume"]) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"counts.h5ad", "whole.h5ad", "out.h5ad.parts"}
    assert main(["denoise", str(counts), str(out), "--max-epochs", "3", "--batch-key", "batch", "--resume"]) == 2
    assert "another max_epochs, 2 and not 3" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("scif.cli._resume.train_as_asked", None)  # nothing is trained again
        assert main(["denoise", str(counts), str(out), *options, "--resume"]) == 0
    found, wanted = (read_h5ad(path).layers["denoised"] for path in (out, whole))
    np.testing.assert_allclose(found, wanted, rtol=3e-5, atol=1e-6)
    assert {p.name for p in tmp_path.iterdir()} == {"counts.h5ad", "whole.h5ad", "out.h5ad"}


@pytest.mark.trains
def test_small_values_are_dropped(counts, tmp_path, capsys):
    out = tmp_path / "out.h5ad"
    assert main(["denoise", str(counts), str(out), "--max-epochs", "1", "--threshold", "0.5"]) == 0
    layer = read_h5ad(out).layers["denoised"]
    assert sparse.issparse(layer)
    assert layer.data.min() >= 0.5
    assert {p.name for p in tmp_path.iterdir()} == {"counts.h5ad", "out.h5ad"}
    assert main(["denoise", str(counts), str(tmp_path / "x.h5ad"), "--threshold", "-1"]) == 2
    assert "--threshold is -1.0" in capsys.readouterr().err
