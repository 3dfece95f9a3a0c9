from __future__ import annotations

import argparse
import importlib
import warnings

import numpy as np
import pytest
from anndata import read_h5ad

from scif import __version__
from scif.cli import COMMANDS, main
from scif.cli._output import show_warnings_in_one_line


@pytest.fixture
def counts(simulated, tmp_path):
    """A file of counts in a layer."""
    small = simulated[:60, :40].copy()
    small.layers["counts"] = small.X.copy()
    small.X = np.log1p(small.X.toarray())
    del small.layers["truth"]
    path = tmp_path / "counts.h5ad"
    small.write_h5ad(path)
    return path


def test_version_and_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.split() == ["scif", __version__]
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert set(COMMANDS) <= set(capsys.readouterr().out.split())


def test_warnings_for_programmers_are_left_out(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show_warnings_in_one_line("denoise")
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.warn(f"of {category.__name__}", category, stacklevel=1)
    assert capsys.readouterr().err == "scif denoise: warning: of UserWarning\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_documents_its_options(name):
    parser = argparse.ArgumentParser()
    importlib.import_module(f"scif.cli.{name.replace('-', '_')}").add_arguments(parser)
    options = [action for action in parser._actions if not isinstance(action, argparse._SubParsersAction)]
    assert all(action.help for action in options)


@pytest.mark.parametrize("backed", [[], ["--backed"]])
def test_denoise_adds_a_layer_and_leaves_the_input_alone(counts, tmp_path, backed):
    before = counts.read_bytes()
    out = tmp_path / "denoised.h5ad"
    options = ["--layer", "counts", "--batch-key", "batch", "--noise", "poisson", "--max-epochs", "2", *backed]
    options += ["--save-model", str(tmp_path / "model")]
    assert main(["denoise", str(counts), str(out), *options]) == 0
    assert counts.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"counts.h5ad", "denoised.h5ad", "model"}
    source, result = read_h5ad(counts), read_h5ad(out)
    np.testing.assert_array_equal(result.X, source.X)
    assert set(result.layers) - {None} == {"counts", "denoised"}  # None: X, from anndata 0.13 on
    assert result.obs.equals(source.obs)
    assert list(result.var_names) == list(source.var_names)
    assert set(result.uns) == set(source.uns)
    np.testing.assert_allclose(result.layers["denoised"].sum(axis=1), source.layers["counts"].sum(axis=1).A1, rtol=1e-4)


def test_counts_left_on_disk_are_denoised_to_the_same(simulated, tmp_path):
    simulated[:60, :40].copy().write_h5ad(tmp_path / "x.h5ad")
    for name, options in (("memory", []), ("disk", ["--backed"])):
        out = str(tmp_path / f"{name}.h5ad")
        assert main(["denoise", str(tmp_path / "x.h5ad"), out, "--max-epochs", "2", *options]) == 0
    memory, disk = (read_h5ad(tmp_path / f"{name}.h5ad").layers["denoised"] for name in ("memory", "disk"))
    np.testing.assert_array_equal(memory, disk)


def test_nothing_is_left_of_a_file_that_could_not_be_written(counts, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("scif.model.ICM.get_denoised", fail)
    options = ["--layer", "counts", "--max-epochs", "1"]
    assert main(["denoise", str(counts), str(tmp_path / "out.h5ad"), *options]) == 2
    assert "disk full" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["counts.h5ad"]


def test_denoise_refuses_to_write_over_anything(counts, tmp_path, capsys):
    before = counts.read_bytes()
    link = tmp_path / "link.h5ad"
    link.symlink_to(counts)
    for target in (counts, link):
        assert main(["denoise", str(counts), str(target), "--overwrite"]) == 2
        assert "is the input" in capsys.readouterr().err
    other = tmp_path / "other.h5ad"
    other.write_bytes(b"precious")
    assert main(["denoise", str(counts), str(other)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["denoise", str(counts), str(tmp_path / "new.h5ad"), "--save-model", str(tmp_path)]) == 2
    assert "--save-model" in capsys.readouterr().err
    assert (other.read_bytes(), counts.read_bytes()) == (b"precious", before)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("out.txt", [], "does not end in .h5ad"),
        ("absent/out.h5ad", [], "does not exist; create it first"),
        ("out.h5ad", ["--output-layer", "counts"], "already has a layer 'counts'"),
        ("out.h5ad", ["--layer", "absent"], "absent"),
        ("out.h5ad", ["--layer", "counts", "--batch-key", "absent"], "absent"),
        ("out.h5ad", [], "error"),  # X is log-transformed
    ],
)
def test_denoise_names_what_is_wrong_and_writes_nothing(counts, tmp_path, capsys, target, options, message):
    assert main(["denoise", str(counts), str(tmp_path / target), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("scif denoise: error: ")
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["counts.h5ad"]


def test_a_missing_input_is_named(tmp_path, capsys):
    assert main(["denoise", str(tmp_path / "absent.h5ad"), str(tmp_path / "out.h5ad")]) == 2
    assert "absent.h5ad does not exist" in capsys.readouterr().err
