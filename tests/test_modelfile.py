"""A model file is read back bit for bit, or refused in one sentence; a failed save leaves the earlier file."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from scif import modelfile
from scif.modelfile import ModelFileError

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "none": torch.empty(0, 2),
    "one": torch.tensor(3, dtype=torch.int64),
}
FACTS = {"genes": ["A", "β"], "scale": 0.1, "settings": {"depth": 2, "free": None}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    modelfile.write(tmp_path / "model", kind="test", tensors=TENSORS, facts=FACTS)
    return tmp_path / "model"


def test_what_is_written_is_read_bit_for_bit(path: Path) -> None:
    model = modelfile.read(path, kind="test")
    assert model.facts == FACTS
    assert model.tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert model.tensors[name].dtype == value.dtype
        assert torch.equal(model.tensors[name], value)


def test_no_flipped_bit_loads(path: Path) -> None:
    raw, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.choice(len(raw), 200, replace=False):
        broken = bytearray(raw)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        with pytest.raises(ModelFileError):
            modelfile.read(path, kind="test")


def test_no_cut_or_longer_file_loads(path: Path) -> None:
    raw = path.read_bytes()
    for changed in (*(raw[:n] for n in range(0, len(raw), 7)), raw + b"\0"):
        path.write_bytes(changed)
        with pytest.raises(ModelFileError):
            modelfile.read(path, kind="test")


def test_other_files_are_refused_by_name(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelFileError, match="holds 'test', not 'fluids'"):
        modelfile.read(path, kind="fluids")
    with pytest.raises(ModelFileError, match="is a folder"):
        modelfile.read(tmp_path, kind="test")
    save_file({"x": torch.zeros(1)}, tmp_path / "plain")
    with pytest.raises(ModelFileError, match="no description by scif"):
        modelfile.read(tmp_path / "plain", kind="test")
    (tmp_path / "pickle").write_bytes(pickle.dumps(print))
    with pytest.raises(ModelFileError):
        modelfile.read(tmp_path / "pickle", kind="test")
    monkeypatch.setattr(modelfile, "SCHEMA", 2)
    with pytest.raises(ModelFileError, match="schema is '1'"):
        modelfile.read(path, kind="test")


def test_huge_declared_shapes_are_refused_without_allocating(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"[2,3]", b"[9,9]").replace(b'"shape":[9,9]', b'"shape":[9e9]'))
    with pytest.raises(ModelFileError, match="no valid shape"):
        modelfile.read(path, kind="test")


def test_a_save_that_fails_leaves_the_earlier_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        modelfile.write(path, kind="test", tensors={}, facts={})
    with pytest.raises(ModelFileError, match="not JSON data"):
        modelfile.write(path, kind="test", tensors={}, facts={"x": float("nan")}, overwrite=True)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        modelfile.write(path, kind="test", tensors={}, facts={}, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model"]
