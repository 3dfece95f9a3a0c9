"""One line on standard error and status 2 for bad input; what is said can be read by a program, or is not said."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from anndata import read_h5ad, read_zarr

from scif.cli import main


@pytest.fixture
def counts(simulated, tmp_path):
    small = simulated[:60, :40].copy()
    del small.layers["truth"]
    path = tmp_path / "in.h5ad"
    small.write_h5ad(path)
    return path


def denoise(*words, epochs="1"):
    return main(["denoise", *map(str, words), "--max-epochs", epochs])


def test_a_result_in_json_is_one_object_and_nothing_else(counts, tmp_path, capsys):
    assert denoise(counts, tmp_path / "out.h5ad", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == str(tmp_path / "out.h5ad")
    assert (found["cells"], found["genes"], found["partial"]) == (60, 40, False)


def test_quiet_says_nothing_and_a_log_gets_plain_lines(counts, tmp_path, capsys):
    assert main(["--quiet", "denoise", str(counts), str(tmp_path / "a.h5ad"), "--max-epochs", "1"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    assert denoise(counts, tmp_path / "b.h5ad") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    for chatter in ("\r", "\x1b", "Epoch", "GPU", "did not improve", "Best score"):
        assert chatter not in told.out + told.err


def test_other_formats_are_converted(counts, tmp_path):
    source = read_h5ad(counts)
    source.write_zarr(tmp_path / "in.zarr")
    assert denoise(counts, tmp_path / "a.h5ad") == 0
    assert denoise(tmp_path / "in.zarr", tmp_path / "b.h5ad") == 0
    first, second = (read_h5ad(tmp_path / f"{name}.h5ad") for name in "ab")
    np.testing.assert_array_equal(first.layers["denoised"], second.layers["denoised"])
    np.testing.assert_array_equal(second.X.toarray(), read_zarr(tmp_path / "in.zarr").X.toarray())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--output-layer", "a/b"), "cannot hold; choose one without a slash"),
        (("--output-layer", ""), "cannot hold"),
        (("--modality", "rna"), "leave --modality out"),
        (("--max-epochs", "0"), "at least 1"),
        (("--output-layer", "X"), "cannot hold"),
        (("--seed", "-1"), "--seed is -1"),
        (("--accelerator", "gpu9"), "accelerator"),
        (("--save-model", "{in}"), "is a file; give the path of a folder"),
        (("--save-model", "{in}/model"), "is a file; give the path of a folder"),
        (("--checkpoint", "{in}"), "is a file; give the path of a folder"),
    ],
)
def test_bad_options_are_refused_in_one_line(counts, tmp_path, capsys, words, message):
    words = [word.replace("{in}", str(counts)) for word in words]
    assert main(["denoise", str(counts), str(tmp_path / "out.h5ad"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5ad"]


def test_what_is_no_format_is_told_what_is_read(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("1,2")
    (tmp_path / "cut.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 50)
    for name in ("x.csv", "cut.h5ad"):
        assert denoise(tmp_path / name, tmp_path / "out.h5ad") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("scif denoise: error: ")
    assert denoise(tmp_path / "x.csv", tmp_path / "out.h5ad", "--backed") == 2


@pytest.mark.parametrize("damage", ["cut", "spoilt"])
@pytest.mark.parametrize("options", [(), ("--backed",)])
def test_a_damaged_file_is_named_with_the_mend(counts, tmp_path, capsys, damage, options):
    whole = bytearray(counts.read_bytes())
    if damage == "cut":
        del whole[len(whole) // 2 :]
    else:
        for place in np.random.default_rng(2).integers(len(whole), size=60):
            whole[place] ^= 255
    (tmp_path / "bad.h5ad").write_bytes(whole)
    assert denoise(tmp_path / "bad.h5ad", tmp_path / "out.h5ad", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad.h5ad cannot be read" in line
    assert "write it again" in line


def test_a_folder_as_output_and_a_file_as_folder_are_refused_at_once(counts, tmp_path, capsys):
    (tmp_path / "out.h5ad").mkdir()
    assert denoise(counts, tmp_path / "out.h5ad", "--overwrite") == 2
    assert "is a folder" in capsys.readouterr().err
    assert main(["demo", "--out", str(counts)]) == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--batch-key", "lane"), ("--seed", "-1"), ("--splits", "0")])
def test_what_cannot_be_evaluated_is_no_table_without_it(counts, capsys, words):
    assert main(["evaluate", str(counts), *words]) == 2
    assert words[1] in capsys.readouterr().err


def test_where_an_error_arose_is_shown_on_demand_only(tmp_path, capsys):
    for options, shown in (([], False), (["--debug"], True)):
        assert denoise(tmp_path / "absent.h5ad", tmp_path / "out.h5ad", *options) == 2
        assert ("Traceback" in capsys.readouterr().err) is shown


def test_a_full_disk_is_one_sentence(counts, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("scif.model.ICM.get_denoised", fail)
    assert denoise(counts, tmp_path / "out.h5ad") == 2
    assert "the disk is full" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5ad"]


def test_what_will_not_fit_is_refused_before_training(counts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert denoise(counts, tmp_path / "out.h5ad") == 2
    assert "are free on its disk" in capsys.readouterr().err


@pytest.mark.trains
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_limit_on_file_sizes_met_while_writing_leaves_nothing(counts, tmp_path):
    code = (
        "import resource, signal, sys; import scif.model; from scif.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "size = __import__('os').path.getsize(sys.argv[1]) + 2048;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size));"
        "sys.exit(main(['denoise', sys.argv[1], sys.argv[2], '--max-epochs', '1']))"
    )
    words = [sys.executable, "-c", code, str(counts), str(tmp_path / "out.h5ad")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5ad"]


def test_handlers_of_signals_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    denoise(tmp_path / "absent.h5ad", tmp_path / "out.h5ad")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_simulated_counts_are_those_of_the_library(tmp_path, capsys):
    from scif.datasets import simulate_counts

    words = ["simulate", str(tmp_path / "x.h5ad"), "--cells", "30", "--genes", "20", "--seed", "3"]
    assert main(words) == 0
    assert (read_h5ad(tmp_path / "x.h5ad").X != simulate_counts(30, 20, seed=3).X).nnz == 0
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_evaluation_ranks_methods_on_held_out_molecules(counts, capsys):
    assert main(["evaluate", str(counts), "--max-epochs", "1", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert "scif ICM" in scores
    assert all(np.isfinite(score["poisson_nll"]) for score in scores.values())
