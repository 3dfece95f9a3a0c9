"""The whole way through files."""

from __future__ import annotations

import pytest

from scif.cli import main
from scif.fields.fluids import read_fields


def test_simulate_invert_evaluate(tmp_path, capsys) -> None:
    flows, found = str(tmp_path / "flows.nc"), str(tmp_path / "found.nc")
    assert main(["fluid", "simulate", flows, "--fields", "24", "--size", "16", "--sigma", "0.05"]) == 0
    told = ["--viscosity", "0.05", "--duration", "1", "--sigma", "0.05", "--max-steps", "2", "--width", "4"]
    assert main(["fluid", "invert", flows, found, *told, "--spread"]) == 0
    data = read_fields(found)
    assert set(data.data_vars) == {"initial", "initial_std"}
    assert data["initial"].attrs["units"] == "s-1"
    assert data["initial"].sizes == {"sample": 24, "y": 16, "x": 16}
    assert main(["fluid", "evaluate", flows, found]) == 0
    assert "found.nc" in capsys.readouterr().out
    assert main(["fluid", "invert", flows, found, *told]) == 2


@pytest.mark.parametrize("extra", [["--variable", "pressure"], []])
def test_refusals_come_before_training(tmp_path, capsys, extra) -> None:
    flows = str(tmp_path / "flows.nc")
    main(["fluid", "simulate", flows, "--fields", "4", "--size", "16"])
    out = str(tmp_path / ("a.nc" if extra else "absent/a.nc"))
    assert main(["fluid", "invert", flows, out, "--viscosity", "0.05", "--duration", "1", *extra]) == 2
    assert ("pressure" if extra else "does not exist") in capsys.readouterr().err


def test_simulated_fields_teach_the_spread(tmp_path, capsys) -> None:
    """Other simulated fields give another spread and the same estimate; those of another grid are refused at once."""
    flows, others, coarse = (str(tmp_path / name) for name in ("flows.nc", "others.nc", "coarse.nc"))
    for path, size, seed in ((flows, "16", "0"), (others, "16", "1"), (coarse, "8", "1")):
        main(["fluid", "simulate", path, "--fields", "16", "--size", size, "--sigma", "0.05", "--seed", seed])
    told = ["--viscosity", "0.05", "--duration", "1", "--sigma", "0.05", "--max-steps", "2", "--width", "4", "--spread"]
    for name, extra in (("a.nc", []), ("b.nc", ["--simulated", others])):
        assert main(["fluid", "invert", flows, str(tmp_path / name), *told, *extra]) == 0
    a, b = (read_fields(tmp_path / name) for name in ("a.nc", "b.nc"))
    assert (a["initial"] == b["initial"]).all()
    assert (a["initial_std"] != b["initial_std"]).any()
    capsys.readouterr()
    assert main(["fluid", "invert", flows, str(tmp_path / "c.nc"), *told, "--simulated", coarse]) == 2
    assert "initial has shape" in capsys.readouterr().err
    assert main(["fluid", "invert", flows, str(tmp_path / "c.nc"), *told[:-1], "--simulated", others]) == 2
    assert "--spread" in capsys.readouterr().err
