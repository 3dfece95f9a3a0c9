"""A model of counts comes back from its file bit for bit, or the file is refused in one sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import scif
from scif import modelfile
from scif.counts.frozen import flatten
from scif.model import ICM
from scif.model.saving import FILE, KIND
from scif.modelfile import ModelFileError

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    data = scif.datasets.simulate_counts(150, 60, n_types=3, n_batches=2, seed=0)
    data.obs["factor"] = np.linspace(0.5, 1.5, data.n_obs)
    return data


def trained(adata: ad.AnnData) -> ICM:
    ICM.setup_anndata(adata, batch_key="batch", size_factor_key="factor")
    model = ICM(adata, noise="nb")
    model.train(max_epochs=3, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def model(adata: ad.AnnData) -> ICM:
    return trained(adata)


@pytest.fixture(scope="module")
def folder(model: ICM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    model.save(path, overwrite=True)
    return path


def results(model: ICM) -> dict[str, np.ndarray]:
    """Everything that a user gets."""
    kinds: Any = ("mean", "transport", "sample")
    per_gene = ("credibility", "residual_shape", "inverse_dispersion", "depth_slope")
    return (
        {kind: model.get_denoised(estimator=kind, seed=3) for kind in kinds}
        | {name: getattr(model, name).to_numpy() for name in per_gene}
        | {
            "std": model.get_denoised(return_std=True)[1],
            "quantiles": model.get_denoised(quantiles=(0.1, 0.9)),
            "predictive": model.posterior_predictive_sample(n_samples=2, seed=1),
            "cell_scale": model.get_cell_scale().to_numpy(),
        }
    )


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_every_result_and_parameter_comes_back_bit_for_bit(adata: ad.AnnData, model: ICM, folder: Path) -> None:
    again = ICM.load(folder, adata=adata.copy(), accelerator="cpu")
    assert_same(results(again), results(model))
    (ours, facts), (theirs, others) = flatten(again.module.fitted), flatten(model.module.fitted)
    assert facts == others
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in theirs)
    assert again.fit_report_ == model.fit_report_
    assert again.settings == model.settings
    np.testing.assert_equal(again.collapse_, model.collapse_)  # with NaN where there is no survival
    for name, curve in model.history.items():
        pd.testing.assert_frame_equal(again.history[name], curve)


def test_a_loaded_model_is_saved_as_it_was(folder: Path, tmp_path: Path) -> None:
    ICM.load(folder, adata=False).save(tmp_path)
    first, again = (modelfile.read(path / FILE, kind=KIND) for path in (folder, tmp_path))
    assert again.facts == first.facts
    assert again.tensors.keys() == first.tensors.keys()
    assert all(torch.equal(again.tensors[name], value) for name, value in first.tensors.items())


def test_a_loaded_model_is_refitted_and_trained_on_as_the_original(adata: ad.AnnData, folder: Path) -> None:
    again = ICM.load(folder, adata=adata.copy(), accelerator="cpu")
    before = results(again)
    again.refit("latent_prior")
    assert_same(results(again), before)
    first = trained(adata.copy())
    for one in (first, again):
        one.train(max_epochs=2, enable_progress_bar=False)
    assert_same(results(again), results(first))


class _Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.path, "ran")


@pytest.mark.parametrize("name", ["model.pt", FILE])
@pytest.mark.parametrize("how", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, name: str, how: Callable[..., Any]) -> None:
    with (tmp_path / name).open("wb") as file:
        how({"model": _Runs(tmp_path / "ran")}, file)
    with pytest.raises(ModelFileError, match="pickle"):
        ICM.load(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_a_flipped_bit_and_a_cut_are_refused(folder: Path, tmp_path: Path, place: float) -> None:
    raw = bytearray((folder / FILE).read_bytes())
    at = int(place * (len(raw) - 1))
    (tmp_path / FILE).write_bytes(raw[:at])
    with pytest.raises(ModelFileError):
        ICM.load(tmp_path, adata=False)
    for bit in (0, 7):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << bit
        (tmp_path / FILE).write_bytes(flipped)
        with pytest.raises(ModelFileError):
            ICM.load(tmp_path, adata=False)


def test_another_kind_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=f"has no {FILE}"):
        ICM.load(tmp_path)
    modelfile.write(tmp_path / FILE, kind="images.ImageDenoiser", tensors={}, facts={})
    with pytest.raises(ModelFileError, match=rf"holds 'images\.ImageDenoiser', not '{KIND}'"):
        ICM.load(tmp_path)


@pytest.mark.parametrize("part", ["tensors", "fitted.profile", "parameters", "config", "genes", "report"])
def test_a_file_without_a_part_is_refused(folder: Path, tmp_path: Path, part: str) -> None:
    """With a valid checksum: a file of another version, or of a stranger."""
    file = modelfile.read(folder / FILE, kind=KIND)
    tensors = {} if part == "tensors" else {name: value for name, value in file.tensors.items() if name != part}
    facts = {name: value for name, value in file.facts.items() if name != part}
    modelfile.write(tmp_path / FILE, kind=KIND, tensors=tensors, facts=facts)
    with pytest.raises(ModelFileError, match="do not fit together"):
        ICM.load(tmp_path, adata=False)


def test_a_model_that_is_there_stays_unless_told_otherwise(model: ICM, folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(folder)
    assert (folder / FILE).read_bytes() == before
