"""Committed model files load and give the results of the day they were saved; no other bytes do."""

from __future__ import annotations

import copy
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scif import modelfile
from scif.fields.fluids import FluidInverter
from scif.fields.images import ImageDenoiser
from scif.modelfile import ModelFileError

FIXTURES = Path(__file__).parent / "fixtures"
MAKE = runpy.run_path(str(FIXTURES / "make.py"))
FILES = sorted(path for path in (FIXTURES / f"schema_{modelfile.SCHEMA}").iterdir() if not path.suffix)
CLASSES: dict[str, Any] = {"images": ImageDenoiser, "fluids": FluidInverter}
KINDS = {"images": "images.ImageDenoiser", "fluids": "fluids.FluidInverter"}


def kind_of(path: Path) -> str:
    return path.name.split("_")[0]


def load(path: Path, kind: str) -> Any:
    return CLASSES[kind].load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_committed_files_load_and_give_their_results(path: Path) -> None:
    model, wanted = load(path, kind_of(path)), np.load(path.with_suffix(".npy"))
    if kind_of(path) == "images":
        result = model.denoise(MAKE["image"]()[None], axes="TCYX", dtype="float32")
    else:
        result = model.invert(MAKE["fields"]()).numpy()
    np.testing.assert_allclose(result, wanted, atol=1e-3 * float(np.std(wanted)))
    assert all(np.isfinite(values).all() for one in _curves(model) for values in one.values())


def _curves(model: Any) -> list[dict[str, list[float]]]:
    curves = model.history_ if isinstance(model.history_, list) else [model.history_]
    assert all(curves)
    return curves


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_loaded_model_is_saved_as_it_was(path: Path, tmp_path: Path) -> None:
    load(path, kind_of(path)).save(tmp_path / "again")
    first, again = (modelfile.read(one, kind=KINDS[kind_of(path)]) for one in (path, tmp_path / "again"))
    assert first.facts == again.facts
    later = {name for name in again.tensors if ".errors." in name}  # newer versions add them
    assert set(first.tensors) <= set(again.tensors) <= set(first.tensors) | later
    assert all(torch.equal(value, again.tensors[name]) for name, value in first.tensors.items())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_other_class_says_what_it_holds(path: Path) -> None:
    (other,) = CLASSES.keys() - {kind_of(path)}
    with pytest.raises(ModelFileError, match=f"holds '{KINDS[kind_of(path)]}', not '{KINDS[other]}'"):
        load(path, other)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changed") / "model"


@given(path=st.sampled_from(FILES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_damaged_file_loads(changed: Path, path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1), label="length")]
    else:
        # half of the flips in the first kilobytes, where the header is
        place = data.draw(st.one_of(st.integers(0, 2000), st.integers(0, len(raw) - 1)), label="place")
        raw[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    changed.write_bytes(raw)
    with pytest.raises(ModelFileError):
        load(changed, kind_of(path))


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to every value inside facts."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@given(path=st.sampled_from(FILES), data=st.data())
@settings(max_examples=150, deadline=None)
def test_forged_facts_load_or_are_refused(changed: Path, path: Path, data: st.DataObject) -> None:
    """With a valid checksum: a stranger's file may say anything, and nothing is allocated for it."""
    file = modelfile.read(path, kind=KINDS[kind_of(path)])
    facts, tensors = copy.deepcopy(file.facts), dict(file.tensors)
    if data.draw(st.booleans(), label="drop a tensor"):
        del tensors[data.draw(st.sampled_from(sorted(tensors)), label="name")]
    else:
        *before, last = data.draw(st.sampled_from(list(places(facts))), label="place")
        inner = facts
        for key in before:
            inner = inner[key]
        wild = [
            None,
            True,
            -1,
            0,
            3,
            10**9,
            10**30,
            1e300,
            -0.5,
            "x",
            [],
            [10**9],
            {},
            {"tensor": [1], "dtype": "load"},
        ]
        inner[last] = data.draw(st.sampled_from(wild), label="value")
    modelfile.write(changed, kind=KINDS[kind_of(path)], tensors=tensors, facts=facts, overwrite=True)
    try:
        load(changed, kind_of(path))
    except ModelFileError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("facts", [{}, {"settings": {}, "parts": [], "history": []}, {"settings": None}])
@pytest.mark.parametrize("kind", CLASSES)
def test_facts_of_another_kind_are_refused(kind: str, facts: dict[str, Any], tmp_path: Path) -> None:
    modelfile.write(tmp_path / "m", kind=KINDS[kind], tensors={"x": torch.zeros(1)}, facts=facts)
    with pytest.raises(ModelFileError, match="do not fit together"):
        load(tmp_path / "m", kind)
