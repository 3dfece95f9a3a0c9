"""A model file is read back bit for bit, or refused in one sentence; a failed save leaves the earlier file."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

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


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "model"


@pytest.fixture(scope="module")
def original(damaged: Path) -> bytes:
    modelfile.write(damaged, kind="test", tensors=TENSORS, facts=FACTS)
    return damaged.read_bytes()


def test_what_is_written_is_read_bit_for_bit(path: Path) -> None:
    model = modelfile.read(path, kind="test")
    assert model.facts == FACTS
    assert model.tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert model.tensors[name].dtype == value.dtype
        assert torch.equal(model.tensors[name], value)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_damaged_file_loads(original: bytes, damaged: Path, data: st.DataObject) -> None:
    path, raw = damaged, bytearray(original)
    if data.draw(st.booleans(), label="cut"):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1), label="length")]
    else:
        place = data.draw(st.integers(0, len(raw) - 1), label="place")
        raw[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(raw)
    with pytest.raises(ModelFileError):
        modelfile.read(path, kind="test")


@given(raw=st.binary(max_size=300), sized=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_other_bytes_load(damaged: Path, raw: bytes, sized: bool) -> None:
    damaged.write_bytes(len(raw).to_bytes(8, "little") + raw if sized else raw)
    with pytest.raises(ModelFileError):
        modelfile.read(damaged, kind="test")


@pytest.mark.parametrize(
    ("part", "instead", "message"),
    [
        ({"schema": "2"}, {}, "schema is '2'.*reads '1'.*Load it with scif 9.9"),
        ({"kind": "fluids"}, {}, "holds 'fluids', not 'test'"),
        ({"checksum": "0"}, {}, "checksum is wrong"),
        ({"version": "../../x"}, {}, "version '../../x' is not one of scif"),
        ({"extra": "1"}, {}, "description is damaged"),
        ({"facts": "null"}, {}, "checksum"),
        ({}, {"weight": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}, "more than the file holds"),
        ({}, {"weight": {"dtype": "F32", "shape": [0, 10**18], "data_offsets": [0, 0]}}, "more than the file holds"),
        ({}, {"weight": {"dtype": "F32", "shape": [0] * 999, "data_offsets": [0, 0]}}, "more than the file holds"),
        ({}, {"weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, "no valid shape"),
        ({}, {"weight": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, "no valid shape"),
        ({}, {"weight": 3}, "no valid shape"),
        ({}, {"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 9**9]}}, "tensors cannot be read"),
        ({}, {"../../etc/x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, "names a tensor '../../etc/x'"),
    ],
)
def test_forged_headers_are_refused_by_name(path: Path, part: dict, instead: dict, message: str) -> None:
    header = {"kind": "test", "schema": "1", "version": "9.9", "facts": "{}", "checksum": "0"} | part
    text = json.dumps({"__metadata__": header, **instead}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4 if instead else 0))
    with pytest.raises(ModelFileError, match=message):
        modelfile.read(path, kind="test")


@pytest.mark.parametrize("facts", ["null", "[]", '{"x": NaN}', "{", "[" * 100_000])
def test_forged_facts_are_refused_though_the_checksum_is_right(path: Path, facts: str) -> None:
    header = {"kind": "test", "schema": "1", "version": "9.9", "facts": facts}
    header["checksum"] = modelfile._checksum(header, {})
    path.write_bytes(save({}, metadata=header))
    with pytest.raises(ModelFileError, match="its facts"):
        modelfile.read(path, kind="test")


def test_other_files_are_refused_by_name(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds 'test', not 'fluids'"):
        modelfile.read(path, kind="fluids")
    with pytest.raises(ModelFileError, match="is a folder"):
        modelfile.read(tmp_path, kind="test")
    with pytest.raises(ModelFileError, match="not a plain file"):
        modelfile.read("/dev/zero", kind="test")
    with pytest.raises(FileNotFoundError):
        modelfile.read(tmp_path / "absent", kind="test")
    save_file({"x": torch.zeros(1)}, tmp_path / "plain")
    with pytest.raises(ModelFileError, match="no description by scif"):
        modelfile.read(tmp_path / "plain", kind="test")
    (tmp_path / "pickle").write_bytes(pickle.dumps(print))
    torch.save({"x": torch.zeros(1)}, tmp_path / "torch")
    for name in ("pickle", "torch"):
        with pytest.raises(ModelFileError, match="is a pickle, which can run code"):
            modelfile.read(tmp_path / name, kind="test")


def test_what_a_file_cannot_hold_is_refused_when_writing(tmp_path: Path) -> None:
    for facts in ({"x": float("inf")}, {"x": {1: 2}}, {"x": tmp_path}, {"x": {1, 2}}):
        with pytest.raises(ModelFileError, match="not JSON data"):
            modelfile.write(tmp_path / "m", kind="test", tensors={}, facts=facts)
    for name in ("../x", "a/b", "", "a..b", "a\\b", "a\0"):
        with pytest.raises(ModelFileError, match="cannot name a tensor"):
            modelfile.write(tmp_path / "m", kind="test", tensors={name: torch.ones(1)}, facts={})
    with pytest.raises(ModelFileError, match="not a plain file"):
        modelfile.write(tmp_path, kind="test", tensors={}, facts={}, overwrite=True)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    modelfile.write(tmp_path / "link", kind="test", tensors={}, facts={"new": 1}, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert modelfile.read(path, kind="test").facts == {"new": 1}


def test_errors_of_building_a_model_are_one_kind_of_error(path: Path) -> None:
    for error in (KeyError("seed"), RuntimeError("size\nmismatch"), TypeError("x"), AttributeError("y")):
        with pytest.raises(ModelFileError, match="do not fit together"), modelfile.refuse_errors(path):
            raise error


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


def test_a_save_that_is_killed_leaves_the_earlier_file(path: Path) -> None:
    """The process ends for good between the flush and the rename."""
    before = path.read_bytes()
    code = f"""
import os, signal, torch
from scif import modelfile
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
modelfile.write({str(path)!r}, kind="test", tensors={{"x": torch.ones(9)}}, facts={{}}, overwrite=True)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    modelfile.read(path, kind="test")
