"""Models that an earlier scif pickled are converted when told to, and never opened otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import scif
from scif.cli import main
from scif.model import ICM
from scif.modelfile import ModelFileError


class _Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "ran")


@pytest.fixture(scope="module")
def model() -> ICM:
    adata = scif.datasets.simulate_counts(60, 20, seed=0)
    ICM.setup_anndata(adata)
    model = ICM(adata, n_hidden=8, n_latent=3)
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


def pickled(model: ICM, folder: Path, **changes: Any) -> Path:
    """The model as scif saved it until 28 November 2026."""
    network = model.module.network.state_dict()
    state = {f"network.{name}": value for name, value in network.items() if name != "batch_present"}
    shift = torch.full((1, model.module.network.width), 0.5)  # the same scores, told in another way
    state["network.center"] = state["network.center"] - shift[0] * state["network.spread"]
    dispersion = model.module.fitted.dispersion
    state |= {"network.batch_shift": shift, "prior_share": torch.tensor(0.5), "profile": model.module.fitted.profile}
    state |= {"residual_shape": dispersion.residual_shape, "inverse_dispersion": dispersion.inverse_dispersion}
    settings = {"noise": "poisson", "n_latent": 3, "n_hidden": 8, "dropout_rate": 0.0, "residual": True, "start": "svd"}
    kept = {
        "registry_": {"model_name": "ICM", "setup_args": {"layer": None, "batch_key": None, "size_factor_key": None}},
        "init_params_": {"kwargs": {}, "non_kwargs": settings | {"seed": 0}},
        "history_": {"train_loss": pd.DataFrame({"train_loss": [1.0, 0.5]})},
    }
    found = {"model_state_dict": state, "var_names": np.array(model.gene_names_), "attr_dict": kept}
    folder.mkdir(exist_ok=True)
    torch.save(found | changes, folder / "model.pt")
    bare = ad.AnnData(model.adata.X.copy(), var=model.adata.var[[]])
    bare.write_h5ad(folder / "adata.h5ad")
    return folder


def test_a_pickled_model_keeps_its_network_and_is_fitted_again(model: ICM, tmp_path: Path) -> None:
    old = pickled(model, tmp_path / "old")
    assert main(["convert-model", "--trust", str(old), str(tmp_path / "new"), "--quiet"]) == 0
    again = ICM.load(tmp_path / "new", ad.read_h5ad(old / "adata.h5ad"), accelerator="cpu")
    for name, value in model.module.network.state_dict().items():
        torch.testing.assert_close(again.module.network.state_dict()[name], value, msg=name)
    ratio = np.abs(again.get_denoised() - model.get_denoised()).sum() / model.get_denoised().sum()
    assert ratio < 1e-3  # stages begin from another first dispersion
    assert list(again.history["train_loss"].iloc[:, 0]) == [1.0, 0.5]


def test_code_runs_only_when_trusted(model: ICM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = pickled(model, tmp_path / "old", extra=_Runs(tmp_path / "ran"))
    with pytest.raises(ModelFileError, match="scif convert-model --trust"):
        ICM.load(old)
    assert main(["convert-model", str(old), str(tmp_path / "new")]) == 2
    assert "--trust" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_converted_is_refused(model: ICM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(folder: Path) -> str:
        assert main(["convert-model", "--trust", str(folder), str(tmp_path / "new")]) == 2
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err

    other = {"registry_": {"model_name": "SCVI", "setup_args": {}}}
    assert "class SCVI, not ICM" in said(pickled(model, tmp_path / "scvi", attr_dict=other))
    assert "not a model of scvi-tools" in said(pickled(model, tmp_path / "keys") and _cut(tmp_path / "keys", {"a": 1}))
    assert "other genes" in said(pickled(model, tmp_path / "genes", var_names=np.array(["A", "B"])))
    assert "do not fit together" in said(pickled(model, tmp_path / "state", model_state_dict={}))
    damaged = pickled(model, tmp_path / "damaged")
    (damaged / "model.pt").write_bytes((damaged / "model.pt").read_bytes()[:100])
    assert "cannot be opened" in said(damaged)
    (damaged / "model.pt").unlink()
    assert "has no model.pt" in said(damaged)
    alone = pickled(model, tmp_path / "alone")
    (alone / "adata.h5ad").unlink()
    assert "--counts" in said(alone)


def test_batches_and_an_earlier_result_are_refused(
    model: ICM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = pickled(model, tmp_path / "old")
    found = torch.load(old / "model.pt", weights_only=False)
    found["model_state_dict"]["network.batch_shift"] = torch.zeros(2, 3)
    torch.save(found, old / "model.pt")
    assert main(["convert-model", "--trust", str(old), str(tmp_path / "new")]) == 2
    assert "2 batches" in capsys.readouterr().err
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "model.scif").write_text("earlier")
    assert main(["convert-model", "--trust", str(old), str(tmp_path / "new")]) == 2
    assert (tmp_path / "new" / "model.scif").read_text() == "earlier"


def _cut(folder: Path, contents: Any) -> Path:
    torch.save(contents, folder / "model.pt")
    return folder
