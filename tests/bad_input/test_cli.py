"""The command line for images and fluids: one line on standard error, status 2, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rows import Row, fingerprint, names

from scif.cli import main

FAST = ("--max-steps", "2", "--patch", "16", "--widths", "4,8")
TOLD = ("--viscosity", "0.05", "--duration", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image, a flow, and files that are none."""
    import xarray as xr

    rng = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "a.tif", rng.normal(100, 10, (32, 32)).astype("f4"), metadata={"axes": "YX"})
    tifffile.imwrite(tmp_path / "small.tif", rng.normal(100, 10, (8, 8)).astype("f4"), metadata={"axes": "YX"})
    (tmp_path / "cut.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:2000])
    (tmp_path / "text.tif").write_text("text")
    (tmp_path / "text.nc").write_text("text")
    (tmp_path / "text.json").write_text("{}")
    (tmp_path / "there.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    angle = 2 * np.pi * np.arange(16) / 16
    waves = np.sin(angle + np.arange(6)[:, None])[:, :, None] * np.cos(2 * angle)
    xr.Dataset({"final": (("sample", "y", "x"), waves)}).to_netcdf(tmp_path / "a.nc")
    xr.Dataset({"final": (("sample", "lat", "lon"), waves)}).to_netcdf(tmp_path / "names.nc")
    spoilt = waves.copy()
    spoilt[1, 2, 3] = np.nan
    xr.Dataset({"final": (("sample", "y", "x"), spoilt)}).to_netcdf(tmp_path / "nan.nc")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(command: str, *says: str, name: str = "") -> Row:
    """A command line and what is said about it."""
    return Row(name or command, command, SystemExit, says)  # type: ignore[arg-type]


def image(options: str, *says: str) -> Row:
    return row(f"image denoise a.tif {options}", *says)


def invert(options: str, *says: str, source: str = "a.nc", out: str = "out.nc") -> Row:
    return row(f"fluid invert {source} {out} {options}", *says)


ROWS = [
    row("image denoise", "images"),
    row("image", "action"),
    row("image sharpen a.tif", "sharpen"),
    row("image denoise absent.tif", "absent.tif"),
    row("image denoise cut.tif", "cut.tif", "copy it again"),
    row("image denoise text.tif", "text.tif", "copy it again"),
    row("image denoise text.json", "text.json", ".tif"),
    image("--max-steps 0", "--max-steps is 0"),
    image("--max-steps -5", "--max-steps is -5"),
    image("--max-steps 2.5", "--max-steps", "2.5"),
    image("--max-steps many", "--max-steps", "many"),
    image("--batch-size 0", "--batch-size is 0"),
    image("--batch-size 1.5", "--batch-size", "1.5"),
    image("--patch 0", "--patch is 0"),
    image("--patch 4", "patch is 4"),
    image("--lr 0", "--lr is 0"),
    image("--lr nan", "--lr is nan"),
    image("--tile 0", "--tile is 0"),
    image("--tile 32 --overlap 64", "overlap is 64", "tile is 32"),
    image("--overlap -1", "overlap is -1"),
    image("--fraction 1.5", "fraction"),
    image("--widths 0,8", "widths"),
    image("--widths a,b", "--widths is a,b"),
    image("--axes QYX", "axes is 'QYX'"),
    image("--axes YY", "axes is 'YY'"),
    image("--ndim 4", "--ndim", "4"),
    image("--ndim 3", "axes"),
    image("--series 3", "series is 3"),
    image("--dtype nonsense", "--dtype is nonsense"),
    image("--dtype complex64", "--dtype is complex64"),
    image("--noise rice", "'rice'"),
    image("--noise absent.json", "absent.json"),
    image("--noise text.json", "text.json", "calibrate"),
    image("--sigma -1", "sigma is -1"),
    image("--sigma 0", "sigma is 0"),
    image("--sigma 5 --gain 2", "sigma", "gain"),
    image("--offset 100", "sigma", "gain"),
    image("--estimator transport", "estimator"),
    image("--accelerator tpu9", "accelerator", "tpu9"),
    image("--seed one", "--seed", "one"),
    image("--model absent.safetensors", "absent.safetensors"),
    image("--model text.json", "text.json"),
    image("--save-model absent/m.safetensors", "absent"),
    image("--save-model there.tif", "there.tif", "--overwrite"),
    image("--save-model a.tif --overwrite", "a.tif", "never overwrites an input"),
    image("--out . --overwrite", "a.tif", "image itself"),
    image("--out there.tif", "there.tif", "folder"),
    image("--checkpoint there.tif", "there.tif", "folder"),
    image("--out new --sigma -1", "sigma is -1"),
    image("--accelerator gpu", "gpu", "none on this machine"),
    image("--model text.json --sigma 5", "text.json", "--sigma"),
    row("image denoise a.tif a.tif", "a.tif", "once"),
    row("image calibrate absent.tif", "absent.tif"),
    row("image calibrate small.tif --offset nan", "offset is nan"),
    row("image calibrate a.tif --repeats", "repeats"),
    row("image calibrate a.tif --repeats --offset nan", "offset is nan"),
    row("image calibrate a.tif --out a.tif --overwrite", "a.tif", "never overwrites an input"),
    row("image calibrate a.tif --plot a.tif --overwrite", "a.tif", "never overwrites an input"),
    row("image calibrate a.tif --plot there.tif", "there.tif", "--overwrite"),
    row("image report a.tif --model text.json --out a.tif --overwrite", "a.tif", "never overwrites an input"),
    row("image report a.tif --model text.json --out text.json --overwrite", "text.json", "never overwrites an input"),
    row("image calibrate a.tif --out absent/n.json", "absent"),
    row("image evaluate a.tif small.tif", "small.tif"),
    row("image evaluate a.tif there.tif --data-range 0", "--data-range is 0"),
    row("image report a.tif --model text.json --out r.html", "text.json"),
    row("image report a.tif --model absent.safetensors --out r.html", "absent.safetensors"),
    invert("", "--viscosity"),
    invert("--viscosity 0.05 --duration 0", "duration"),
    invert("--viscosity -1 --duration 1", "viscosity"),
    invert("--viscosity nan --duration 1", "viscosity"),
    invert("--viscosity thick --duration 1", "--viscosity", "thick"),
    invert(f"{' '.join(TOLD)} --sigma -1", "sigma"),
    invert(f"{' '.join(TOLD)} --max-steps 0", "max-steps is 0"),
    invert(f"{' '.join(TOLD)} --max-steps -1", "max-steps is -1"),
    invert(f"{' '.join(TOLD)} --width 0", "width is 0"),
    invert(f"{' '.join(TOLD)} --variable pressure", "pressure", "final"),
    invert(f"{' '.join(TOLD)} --boundary wall", "--boundary", "wall"),
    invert(f"{' '.join(TOLD)} --save-model absent/m.safetensors", "absent"),
    invert(" ".join(TOLD), "absent.nc", source="absent.nc"),
    invert(" ".join(TOLD), "text.nc", source="text.nc"),
    invert(" ".join(TOLD), "lat", "rename", source="names.nc"),
    invert(" ".join(TOLD), "1 entries", "fix", source="nan.nc"),
    invert(" ".join(TOLD), "there.tif", "--overwrite", out="there.tif"),
    invert(f"{' '.join(TOLD)} --overwrite", "a.nc", "input", out="a.nc"),
    invert(" ".join(TOLD), "absent", out="absent/out.nc"),
    invert(f"{' '.join(TOLD)} --save-model a.nc --overwrite", "a.nc", "never overwrites an input"),
    invert(f"{' '.join(TOLD)} --save-model out.nc", "out.nc", "name of its own"),
    row("fluid simulate out.nc --fields 0", "fields is 0"),
    row("fluid simulate out.nc --fields -1", "fields is -1"),
    row("fluid simulate out.nc --size 2", "size is 2"),
    row("fluid simulate out.nc --viscosity -1", "viscosity"),
    row("fluid simulate out.nc --duration 0", "duration"),
    row("fluid simulate out.nc --sigma nan", "sigma"),
    row("fluid simulate out.nc --case stormy", "--case", "stormy"),
    row("fluid simulate a.nc", "a.nc", "--overwrite"),
    row("fluid evaluate a.nc a.nc", "'initial'", "final"),
    row("fluid evaluate absent.nc a.nc", "absent.nc"),
    row("fluid evaluate a.nc text.nc --variable final", "text.nc"),
    row("fluid", "action"),
    row("sharpen", "sharpen"),
]


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_is_refused_in_one_line(row: Row, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = fingerprint(folder)
    words = str(row.call).split()
    if words[:2] == ["image", "denoise"] and len(words) > 3:
        words += [word for k in (0, 2, 4) if FAST[k] not in words for word in FAST[k : k + 2]]
    try:
        status: Callable[[], int] | int | str | None = main(words)
    except SystemExit as error:  # of argparse
        status = error.code
    said = capsys.readouterr().err
    assert status == 2, said
    line = said.splitlines()[-1]
    assert "Traceback" not in said
    for part in row.says:
        assert part in line, f"{part!r} is not in {said!r}"
    usage = "usage:" in said  # argparse tells the options, too
    told = [one for one in said.splitlines() if "warning" not in one and not one.startswith("Training:")]
    assert usage or len(told) == 1, said
    assert fingerprint(folder) == before
